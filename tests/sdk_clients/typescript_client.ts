/**
 * The official TypeScript SDK as a client of `/mcp`: from an address to a tool's result, to renewed and revoked tokens.
 *
 *     node typescript_client.ts @modelcontextprotocol/client http://127.0.0.1:3000
 *
 * The first argument is the package: `@modelcontextprotocol/client`, or `@modelcontextprotocol/sdk` of the line before.
 * What the SDK does by itself is left to it; this only plays the person, and looks at what went over the wire.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import type {
  Client,
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";

import { type Decision, Person } from "./person.ts";

const REDIRECT_URI = "http://127.0.0.1:53682/callback";

// What the demo offers beyond what clients may use by default.
const RIGHTS = {
  tools: { allowed: ["get_status", "notify_peers"] },
  actions: { allowed: ["notify_peers"] },
  prompts: { allowed: ["get_summary_prompt"] },
};

// What a run may take, in all: a server that hangs would hold it for ever.
const LIMIT_SECONDS = 120;

const [packageName, baseUrl] = process.argv.slice(2);
let doing = "begins";
const limit = setTimeout(() => {
  console.error(`${packageName}: not done after ${LIMIT_SECONDS} s, at the step "${doing}": ${baseUrl} does not answer`);
  process.exit(1);
}, LIMIT_SECONDS * 1000);
const isCurrent = packageName === "@modelcontextprotocol/client";
const sdk = isCurrent ? await import("@modelcontextprotocol/client") : await earlierSdk();
const sdkName = `${packageName} ${versionOf(packageName)}`;

async function earlierSdk() {
  const parts = await Promise.all([
    import("@modelcontextprotocol/sdk/client/index.js"),
    import("@modelcontextprotocol/sdk/client/streamableHttp.js"),
    import("@modelcontextprotocol/sdk/client/auth.js"),
  ]);
  // It takes what the current one takes, wherever this uses it.
  return Object.assign({}, ...parts) as unknown as typeof import("@modelcontextprotocol/client");
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(`${import.meta.dirname}/node_modules/${name}/package.json`, "utf8")).version;
}

/** A program that uses the SDK on behalf of a person, who answers its questions with `decision`. */
class App implements OAuthClientProvider {
  readonly redirectUrl = REDIRECT_URI;
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: "TypeScript SDK",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  person: Person;
  decision: Decision;
  timesAsked = 0;
  told = new URLSearchParams();
  #wire: string[] = [];
  #client?: StoredOAuthClientInformation;
  #tokens?: StoredOAuthTokens;
  #verifier = "";
  #state = "";
  #discovery?: OAuthDiscoveryState;

  constructor(person: Person, decision: Decision = "allow") {
    this.person = person;
    this.decision = decision;
  }

  // What the SDK asks for.

  state = () => (this.#state = randomUUID());
  clientInformation = () => this.#client;
  saveClientInformation = (client: StoredOAuthClientInformation) => void (this.#client = client);
  tokens = () => this.#tokens;
  saveTokens = (tokens: StoredOAuthTokens) => void (this.#tokens = tokens);
  codeVerifier = () => this.#verifier;
  saveCodeVerifier = (verifier: string) => void (this.#verifier = verifier);
  discoveryState = () => this.#discovery;
  saveDiscoveryState = (found: OAuthDiscoveryState) => void (this.#discovery = found);

  async redirectToAuthorization(url: URL): Promise<void> {
    this.timesAsked++;
    this.told = await this.person.answer(url, this.decision);
  }

  invalidateCredentials(scope: "all" | "client" | "tokens" | "verifier" | "discovery"): void {
    if (scope === "all" || scope === "client") this.#client = undefined;
    if (scope === "all" || scope === "tokens") this.#tokens = undefined;
  }

  // What programs do with it.

  transport(): StreamableHTTPClientTransport {
    const url = new URL(`${this.person.baseUrl}/mcp`);
    return new sdk.StreamableHTTPClientTransport(url, { authProvider: this, fetch: this.#fetch });
  }

  /** Connects; if the person has to be asked first, once more with the answer. */
  async connect(mode: "auto" | "legacy" = "auto"): Promise<Connected> {
    const attempt = async (): Promise<Connected> => {
      const client = new sdk.Client({ name: "test", version: "1.0" }, { versionNegotiation: { mode } });
      const transport = this.transport();
      await this.authorized(transport, () => client.connect(transport));
      return { client, transport };
    };
    return attempt().catch((error) => (error instanceof Answered ? attempt() : Promise.reject(error)));
  }

  /** Does something; if the SDK had to ask the person, gives it the answer and says so by failing with `Answered`. */
  async authorized<T>(transport: StreamableHTTPClientTransport, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof sdk.UnauthorizedError)) throw error;
      assert.equal(this.told.get("state"), this.#state, "the answer's state is not that of the question");
      await this.finish(transport);
      throw new Answered();
    }
  }

  async finish(transport: StreamableHTTPClientTransport): Promise<void> {
    // The current line reads all of the answer, and checks who gives it.
    if (isCurrent) await transport.finishAuth(this.told);
    else await transport.finishAuth(this.told.get("code") ?? "");
  }

  get clientId(): string {
    assert(this.#client, "the SDK did not register");
    return this.#client.client_id;
  }

  get held(): StoredOAuthTokens {
    assert(this.#tokens, "the SDK has no tokens");
    return this.#tokens;
  }

  /** What went over the wire since this was last asked, but for attempts to listen, which nothing waits for. */
  sent(): string[] {
    return this.#wire.splice(0).filter((request) => request !== "GET /mcp 405");
  }

  #fetch = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const reply = await fetch(url, init);
    this.#wire.push(`${init?.method ?? "GET"} ${new URL(url).pathname} ${reply.status}`);
    return reply;
  };
}

/** The person was asked, and the SDK has tokens now: what was to be done can be done again. */
class Answered extends Error {}

type Connected = { client: Client; transport: StreamableHTTPClientTransport };

/** The client knows an address, and gets to a tool's result. */
async function connects(app: App): Promise<void> {
  const { client } = await app.connect();
  assert.equal(revisionOf(client), isCurrent ? "2026-07-28" : "2025-11-25", "the revision");
  assert.deepEqual(
    app.sent().slice(0, 6),
    [
      "POST /mcp 401",
      "GET /.well-known/oauth-protected-resource/mcp 200",
      "GET /.well-known/oauth-authorization-server 200",
      "POST /oauth/register 201",
      "POST /oauth/token 200",
      "POST /mcp 200",
    ],
    "how the SDK got its tokens",
  );
  assert.equal(app.timesAsked, 1, "how often the person was asked");
  assert.equal(app.told.get("iss"), baseUrl, "the issuer that the person's answer names");
  assert.deepEqual(await names(client), ["get_status"], "the tools on offer, by default");
  await app.person.permit(app.clientId, RIGHTS);
  await client.close();
}

/** Everything that the application offers. */
async function uses(client: Client): Promise<void> {
  assert.deepEqual(await names(client), ["get_status", "notify_peers"], "the tools on offer");
  const result = await client.callTool({ name: "notify_peers", arguments: { message: "hello" } });
  assert(!result.isError, "the tool failed");
  assert.deepEqual(result.structuredContent, { told: 0, peers: [] }, "the tool's result");
  const wrong = await client.callTool({ name: "notify_peers", arguments: {} });
  assert.equal(wrong.isError, true, "a call without its argument did not fail");

  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map((prompt) => prompt.name), ["get_summary_prompt"], "the prompts on offer");
  const { messages } = await client.getPrompt({ name: "get_summary_prompt", arguments: { topic: "tides" } });
  const text = "See how my actor is doing, then sum up what you know about tides.";
  assert.deepEqual(messages, [{ role: "user", content: { type: "text", text } }], "the prompt");

  const { resources } = await client.listResources();
  assert.deepEqual(resources.map((resource) => resource.uri), ["usage://status"], "the resources on offer");
  const [content] = (await client.readResource({ uri: "usage://status" })).contents;
  const status = JSON.parse("text" in content ? content.text : "null");
  const tool = (await client.callTool({ name: "get_status" })).structuredContent as { actor_id: string };
  assert.equal(status.actor_id, tool.actor_id, "the resource, next to the tool");
}

async function names(client: Client): Promise<string[]> {
  return (await client.listTools()).tools.map((tool) => tool.name);
}

function revisionOf(client: Client): string | undefined {
  const earlier = client.transport as { protocolVersion?: string } | undefined;
  return isCurrent ? client.getNegotiatedProtocolVersion() : earlier?.protocolVersion;
}

async function usesTheTool(app: App): Promise<void> {
  const { client } = await app.connect();
  await uses(client);
  await client.close();
}

async function speaksEarlierRevisions(app: App): Promise<void> {
  const { client } = await app.connect("legacy");
  assert.equal(revisionOf(client), "2025-11-25", "the revision after `initialize`");
  await uses(client);
  await client.close();
  assert.equal(app.timesAsked, 1, "how often the person was asked");
}

/** An access token that the server does not take, be it that it ended, is renewed without the person. */
async function renews(app: App): Promise<void> {
  const { client } = await app.connect();
  const before = app.held;
  app.saveTokens({ ...before, access_token: "no-such-token" });
  app.sent();
  await uses(client);
  const sent = app.sent();
  assert.deepEqual(sent.slice(0, 3), ["POST /mcp 401", "POST /oauth/token 200", "POST /mcp 200"], "what the SDK did");
  assert.notEqual(app.held.access_token, before.access_token, "the access token is still the same");
  assert.notEqual(app.held.refresh_token, before.refresh_token, "the refresh token is still the same");
  assert.equal(app.timesAsked, 1, "how often the person was asked");
  await client.close();
}

/** Once its tokens are revoked, nothing goes without the person. */
async function isShutOut(app: App): Promise<void> {
  const { client, transport } = await app.connect();
  const old = app.held;
  const metadata = app.discoveryState()?.authorizationServerMetadata as { revocation_endpoint?: string } | undefined;
  const revocation = metadata?.revocation_endpoint;
  assert(revocation, "the metadata names no revocation_endpoint");
  const body = new URLSearchParams({ token: old.refresh_token ?? "", client_id: app.clientId });
  assert.equal((await fetch(revocation, { method: "POST", body })).status, 200, "the answer to the revocation");
  app.sent();
  await assert.rejects(app.authorized(transport, () => uses(client)), Answered, "it went on with revoked tokens");
  const sent = app.sent();
  assert.deepEqual(sent.slice(0, 2), ["POST /mcp 401", "POST /oauth/token 400"], "what became of the revoked tokens");
  assert.equal(app.timesAsked, 2, "how often the person was asked");
  assert.equal(app.person.signIns, 1, "how often the person signed in");
  await uses(client);
  await client.close();
}

/** The person does not let it in. */
async function isDenied(app: App): Promise<void> {
  const client = new sdk.Client({ name: "test", version: "1.0" }, { versionNegotiation: { mode: "auto" } });
  const transport = app.transport();
  await assert.rejects(client.connect(transport), sdk.UnauthorizedError, "connected, though the person said no");
  assert.equal(app.told.get("error"), "access_denied", "what the client was told");
  // The line before leaves the answer to the program until there is a code.
  if (isCurrent) await assert.rejects(app.finish(transport), { code: "access_denied" });
  assert.equal(app.tokens(), undefined, "it has tokens");
}

const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const person = await Person.create(baseUrl);
const app = new App(person);
const steps = [connects, usesTheTool, ...(isCurrent ? [speaksEarlierRevisions] : []), renews, isShutOut];
for (const step of steps) {
  doing = words(step.name);
  await step(app);
  console.log(`${sdkName}: ${doing}`);
}
doing = "is denied";
await isDenied(new App(person, "deny"));
console.log(`${sdkName}: ${doing}`);
clearTimeout(limit);
