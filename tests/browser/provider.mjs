// An OpenID Connect provider: `node provider.mjs PORT NAME REDIRECT_URI`. Whoever signs in there types a name and any
// password; `mallory` is somebody whose address is not verified.
import Provider from "oidc-provider";

const [port, name, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "the-client",
      client_secret: "the-secret-of-the-client-of-32-characters",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  async findAccount(_context, login) {
    const email = login === "mallory" ? "ann@example.org" : `${login}@example.org`;
    const claims = { sub: login, email, email_verified: login !== "mallory", name: login };
    return { accountId: login, claims: async () => claims };
  },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  // Two providers on one host would share cookies, which know no ports.
  cookies: {
    keys: ["a key that only tests know"],
    names: { session: `_${name}_session`, interaction: `_${name}_interaction`, resume: `_${name}_resume` },
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log(`${name} is at ${issuer}`));
