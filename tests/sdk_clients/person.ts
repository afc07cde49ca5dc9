/** Somebody with an actor and a browser, who signs in and answers when a client asks to be let in. */

import assert from "node:assert/strict";

const CREATOR = "ann@example.com";
const PASSPHRASE = "correct horse battery";

export type Decision = "allow" | "deny";

/** The browser keeps its cookies, so that one sign-in lasts. */
export class Person {
  baseUrl: string;
  actor: string;
  signIns = 0;
  #cookies = new Map<string, string>();

  constructor(baseUrl: string, actor: string) {
    this.baseUrl = baseUrl;
    this.actor = actor;
  }

  /** Somebody whose actor was just made. */
  static async create(baseUrl: string): Promise<Person> {
    const body = JSON.stringify({ creator: CREATOR, passphrase: PASSPHRASE });
    const made = await fetch(`${baseUrl}/`, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.equal(made.status, 201, "no actor was made");
    return new Person(baseUrl, ((await made.json()) as { id: string }).id);
  }

  /** Opens the URL, signs in if asked to, and presses a button; returns what the client is told. */
  async answer(authorizationUrl: URL, decision: Decision): Promise<URLSearchParams> {
    const redirectUri = authorizationUrl.searchParams.get("redirect_uri");
    assert(redirectUri, "the SDK named no redirect_uri");
    let page = await this.#browse(authorizationUrl.href);
    for (let pages = 0; pages < 10; pages++) {
      const location = page.headers.get("location");
      if (location) {
        const url = new URL(location, this.baseUrl);
        if (url.href.startsWith(redirectUri)) return url.searchParams;
        page = await this.#browse(url.href);
        continue;
      }
      const html = await page.text();
      assert.equal(page.status, 200, `a page of sign-in: ${html}`);
      const { action, fields } = firstForm(html);
      if (fields.has("passphrase")) {
        this.signIns++;
        fields.set("actor", this.actor);
        fields.set("passphrase", PASSPHRASE);
      } else {
        fields.set("decision", decision);
      }
      page = await this.#browse(action, fields);
    }
    throw new assert.AssertionError({ message: "ten pages, and none led back to the client" });
  }

  /** Lets a client do this, too, as the actor's owner. */
  async permit(clientId: string, rights: object): Promise<void> {
    const url = `${this.baseUrl}/${this.actor}/trust/mcp_client/oauth2_client:${clientId}/permissions`;
    const authorization = `Basic ${Buffer.from(`${CREATOR}:${PASSPHRASE}`).toString("base64")}`;
    const headers = { authorization, "content-type": "application/json" };
    const reply = await fetch(url, { method: "PUT", headers, body: JSON.stringify(rights) });
    assert(reply.ok, `the owner could not change the client's rights: ${reply.status}`);
  }

  async #browse(url: string, form?: URLSearchParams): Promise<Response> {
    // As browsers do; forms that do not say where they come from are refused.
    const headers = { origin: this.baseUrl, "sec-fetch-site": "same-origin", cookie: this.#sent() };
    const page = await fetch(url, { method: form ? "POST" : "GET", body: form, headers, redirect: "manual" });
    for (const cookie of page.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      this.#cookies.set(name, value);
    }
    return page;
  }

  #sent(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }
}

/** The first form of a page: where it leads, and its fields as they are filled in. */
function firstForm(html: string): { action: string; fields: URLSearchParams } {
  const [, action, content] = /<form [^>]*action="([^"]*)"[^>]*>(.*?)<\/form>/s.exec(html) ?? [];
  assert(action, `a page without a form: ${html}`);
  const fields = new URLSearchParams();
  for (const [input] of content.matchAll(/<input [^>]*>/g)) {
    const value = (name: string) => unescape(new RegExp(` ${name}="([^"]*)"`).exec(input)?.[1] ?? "");
    if (value("type") !== "radio" || input.includes(" checked")) fields.set(value("name"), value("value"));
  }
  return { action: unescape(action), fields };
}

function unescape(text: string): string {
  const names: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (name) => names[name]);
}
