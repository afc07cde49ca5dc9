// Sign-in as people do it: `node signin.mjs URL`, with the stack at URL and its providers `house` and `club` running
// (provider.mjs). ACTINGWEB_TEST_CHROMIUM names the browser.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chromium } from "playwright-core";

const base = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.ACTINGWEB_TEST_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The providers' pages name fonts of another machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});

/** A browser in which nobody is signed in anywhere. */
async function person() {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  return page;
}

/** From our page to the provider's, by the link that people click. */
async function toProvider(page, provider, start = "/oauth/login") {
  await page.goto(base + start);
  await page.getByRole("link", { name: provider, exact: false }).click();
  await page.waitForURL((url) => url.origin !== base);
}

/** Types a name at the provider, if it asks, and lets it tell us who that is. */
async function typeName(page, name) {
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
}

async function agree(page) {
  await page.getByRole("button", { name: "Continue" }).click();
}

async function signIn(page, provider, name) {
  await toProvider(page, provider);
  await typeName(page, name);
  await agree(page);
  await page.waitForURL((url) => url.href.startsWith(base));
}

/** The actor that the browser is signed in to, and its creator. */
async function whose(page) {
  await page.goto(`${base}/oauth/login`);
  if ((await page.locator("h1").innerText()) !== "You are signed in") return undefined;
  const actor = (await page.locator("code").first().innerText()).split("/").pop();
  return { actor, creator: await page.locator("strong").first().innerText() };
}

/** Stops the browser on its way back, and gives the address that it was sent to. */
async function callbackOf(page, finish) {
  // The protocol of the browser itself: routes do not see requests that redirects lead to.
  const protocol = await page.context().newCDPSession(page);
  await protocol.send("Fetch.enable", { patterns: [{ urlPattern: `${base}/oauth/callback*` }] });
  const arrived = new Promise((resolve) => {
    protocol.on("Fetch.requestPaused", async ({ requestId, request }) => {
      const responseHeaders = [{ name: "content-type", value: "text/plain" }];
      await protocol.send("Fetch.fulfillRequest", { requestId, responseCode: 200, responseHeaders });
      resolve(new URL(request.url));
    });
  });
  await finish();
  const url = await arrived;
  await page.waitForURL((reached) => reached.href === url.href);
  await protocol.detach();
  return url;
}

const scenarios = {
  async "a first sign-in makes an actor, a second finds it"() {
    const first = await person();
    await signIn(first, "House", "ann");
    const made = await whose(first);
    assert.equal(made.creator, "ann@example.org");
    const second = await person();
    await signIn(second, "House", "ann");
    assert.deepEqual(await whose(second), made);
    // Signed out, and in again without a word, since the provider knows her.
    await second.getByRole("button", { name: "Sign out" }).click();
    assert.equal(await whose(second), undefined);
    await toOurs(second, "House");
    assert.deepEqual(await whose(second), made);
  },

  async "the cookie is for no script"() {
    const page = await person();
    await signIn(page, "House", "carl");
    const cookies = (await page.context().cookies(base)).filter((cookie) => cookie.name.startsWith("actingweb"));
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) assert.ok(cookie.httpOnly && cookie.sameSite === "Lax", cookie.name);
    const frames = await (await page.goto(`${base}/oauth/login`)).headerValue("content-security-policy");
    assert.match(frames, /frame-ancestors 'none'/);
  },

  async "a wrong state is refused"() {
    const page = await person();
    await toProvider(page, "House");
    const url = await callbackOf(page, async () => {
      await typeName(page, "bob");
      await agree(page);
    });
    url.searchParams.set("state", randomBytes(32).toString("base64url"));
    assert.equal((await page.goto(url.href)).status(), 400);
    assert.equal(await whose(page), undefined);
  },

  async "the end of somebody else's sign-in is refused"() {
    const mallory = await person();
    await toProvider(mallory, "House");
    const url = await callbackOf(mallory, async () => {
      await typeName(mallory, "eve");
      await agree(mallory);
    });
    const victim = await person();
    assert.equal((await victim.goto(url.href)).status(), 400);
    assert.match(await victim.locator("[role=alert]").innerText(), /another browser/);
    assert.equal(await whose(victim), undefined);
  },

  async "a replayed code is refused"() {
    const page = await person();
    await toProvider(page, "House");
    const first = await callbackOf(page, async () => {
      await typeName(page, "dora");
      await agree(page);
    });
    await page.goto(first.href);
    assert.equal((await whose(page)).creator, "dora@example.org");
    // The whole answer again, and the old code in a new sign-in.
    assert.equal((await page.goto(first.href)).status(), 400);
    await page.getByRole("link", { name: "Begin again" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    const second = await callbackOf(page, async () => {
      await page.goto(`${base}/oauth/login/house`);
    });
    second.searchParams.set("code", first.searchParams.get("code"));
    await page.goto(second.href);
    assert.match(page.url(), /trouble=provider/);
    assert.equal(await whose(page), undefined);
  },

  async "an address that is not verified is nobody's"() {
    const page = await person();
    await signIn(page, "House", "mallory");
    const found = await whose(page);
    assert.equal(found.creator, "house/mallory");
    const ann = await person();
    await signIn(ann, "House", "ann");
    assert.notEqual((await whose(ann)).actor, found.actor);
  },

  async "two providers lead to one actor, once they are connected"() {
    const page = await person();
    await signIn(page, "House", "ann");
    const made = await whose(page);
    const other = await person();
    await signIn(other, "Club", "ann");
    assert.match(await other.locator("[role=alert]").innerText(), /already/);
    assert.equal(await whose(other), undefined);

    await page.goto(`${base}/oauth/login`);
    await page.getByRole("link", { name: "Connect Club" }).click();
    await typeName(page, "ann");
    await agree(page);
    await page.getByRole("button", { name: "Connect it" }).click();
    await page.waitForURL(`${base}/oauth/login`);
    await toOurs(other, "Club");
    assert.deepEqual(await whose(other), made);
  },

  async "who refuses at the provider is told so"() {
    const page = await person();
    await toProvider(page, "House");
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.waitForURL(/trouble=refused/);
    assert.match(await page.locator("[role=alert]").innerText(), /did not allow/);
    assert.equal(await whose(page), undefined);
  },

  async "a client is let in by a person who signs in with a provider"() {
    const verifier = randomBytes(32).toString("base64url");
    const redirectUri = "http://127.0.0.1:1/callback";
    const register = await fetch(`${base}/oauth/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_name: "A browser's client",
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: "none",
      }),
    });
    const { client_id } = await register.json();
    const params = new URLSearchParams({
      client_id,
      redirect_uri: redirectUri,
      response_type: "code",
      state: "the-state",
      resource: `${base}/mcp`,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const page = await person();
    await toProvider(page, "House", `/oauth/authorize?${params}`);
    await typeName(page, "fred");
    await agree(page);
    await page.waitForURL((url) => url.href.startsWith(`${base}/oauth/authorize`));
    const sent = page.waitForRequest((request) => request.url().startsWith(redirectUri));
    await page.getByRole("button", { name: /allow/i }).first().click();
    const answer = new URL((await sent).url()).searchParams;
    assert.deepEqual([answer.get("state"), answer.get("iss")], ["the-state", base]);
    const tokens = await fetch(`${base}/oauth/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: answer.get("code"),
        redirect_uri: redirectUri,
        client_id,
        code_verifier: verifier,
        resource: `${base}/mcp`,
      }),
    });
    assert.equal(tokens.status, 200, await tokens.clone().text());
    assert.ok((await tokens.json()).access_token);
  },

  // Browsers hold whatever a form's answer leads to against the policy of the form's page, as far as redirects go.
  async "a client on this machine sends the browser on"() {
    await ledOn("http://127.0.0.1:1/callback", "https://client.example/done");
  },

  async "a client on the web sends the browser on to another site"() {
    await ledOn("https://client.example/callback", "https://client-two.example/done");
  },

  async "a client on the web sends the browser on to this machine"() {
    await ledOn("https://client.example/callback", "http://127.0.0.1:1/done");
  },

  async "a client with a scheme of its own gets the answer"() {
    const page = await person();
    const complaints = complaintsOf(page);
    await toConsent(page, "com.example.app:/callback");
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await page.getByRole("button", { name: /allow/i }).first().click();
    const answer = await answered;
    assert.equal(answer.status(), 303);
    assert.match(await answer.headerValue("location"), /^com\.example\.app:\/callback\?code=/);
    // The browser asks the system for a program, of which there is none here; what it refuses itself it complains about.
    await page.waitForTimeout(500);
    assert.deepEqual(complaints, []);
  },
};

/** What the browser complains about in a page. */
function complaintsOf(page) {
  const complaints = [];
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) complaints.push(message.text());
  });
  return complaints;
}

/** Brings somebody to the page that asks whether a client with this redirect URI may act for them. */
async function toConsent(page, redirectUri) {
  const register = await fetch(`${base}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: "A client", redirect_uris: [redirectUri], token_endpoint_auth_method: "none" }),
  });
  const { client_id } = await register.json();
  const params = new URLSearchParams({
    client_id,
    redirect_uri: redirectUri,
    response_type: "code",
    code_challenge: createHash("sha256").update("v".repeat(43)).digest("base64url"),
    code_challenge_method: "S256",
  });
  await toProvider(page, "House", `/oauth/authorize?${params}`);
  await typeName(page, "gina");
  await agree(page);
  await page.waitForURL((url) => url.href.startsWith(`${base}/oauth/authorize`));
}

/** Lets a client in whose redirect URI answers with a redirect to `next`, and sees that the browser gets there. */
async function ledOn(redirectUri, next) {
  const page = await person();
  const complaints = complaintsOf(page);
  await toConsent(page, redirectUri);
  const protocol = await page.context().newCDPSession(page);
  await protocol.send("Fetch.enable", { patterns: [{ urlPattern: `${redirectUri}*` }, { urlPattern: next }] });
  let answer;
  protocol.on("Fetch.requestPaused", ({ requestId, request }) => {
    const isThere = request.url === next;
    if (!isThere) answer = new URL(request.url).searchParams;
    const responseHeaders = isThere
      ? [{ name: "content-type", value: "text/plain" }]
      : [{ name: "location", value: next }];
    protocol.send("Fetch.fulfillRequest", { requestId, responseCode: isThere ? 200 : 302, responseHeaders });
  });
  await page.getByRole("button", { name: /allow/i }).first().click();
  await page.waitForURL(next, { timeout: 5_000 }).catch((error) => {
    throw new Error(`the browser is at ${page.url()} and says: ${complaints.join("; ")}`, { cause: error });
  });
  assert.ok(answer.get("code"));
}

/** By a provider that knows the person, who is asked nothing any more. */
async function toOurs(page, provider) {
  await page.goto(`${base}/oauth/login`);
  await page.getByRole("link", { name: provider }).click();
  await page.waitForURL(`${base}/oauth/login`);
}

function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

let failed = 0;
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await within(60_000, scenario());
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  } finally {
    for (const context of browser.contexts()) await context.close();
  }
}
await browser.close();
console.log(`${Object.keys(scenarios).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
