/** The public site as it looks, and its forms without JavaScript. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, OPERATOR, obstacles, open, picture, setUp } from "./browser";
import { VIEWS } from "./looks";
import { type Server, startServer } from "./server";

const PAGES: Record<string, string> = {
  home: "/en/",
  "home-french": "/fr/",
  smtp: "/en/smtp/",
  "smtp-test": "/fr/smtp/test",
  help: "/en/help/",
  "help-found": "/fr/help/?q=mot+de+passe",
  "help-nothing": "/en/help/?q=xylophone",
  article: "/en/help/smtp-errors",
  "article-thanked": "/fr/help/authentication-failed?thanks=1",
  login: "/en/login",
  cookies: "/fr/cookies",
  terms: "/en/terms",
  missing: "/en/nowhere",
};

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer({
      POSTHOUSE__SERVER__HOSTNAME: "localhost",
      POSTHOUSE__SITE__CONTACT: "help@example.com",
      POSTHOUSE__DELIVERY__ROUTE: "mx",
    }),
    launch(),
  ]);
  const view = await open(browser, server.url);
  await setUp(view, await server.token(), server.url);
  await view.context.request.post("/smtp/test", { headers: { Origin: server.url } });
  await view.context.close();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

describe("a new password on the site", () => {
  it("is judged while it is typed, in the language of the page", async () => {
    const { page, context, faults } = await open(browser, server.url);
    await page.goto("/fr/password/reset?token=of-a-mail");
    const says = page.locator("#strength");
    const typed = page.locator("input[type=password]");
    await typed.fill("password123");
    await expect.poll(() => says.textContent()).toMatch(/Beaucoup de gens/);
    expect(await obstacles(page, "a weak password")).toEqual([]);
    await picture(page, "site-strength");
    await typed.fill("quatre chevaux fatigués au portail");
    await expect.poll(() => says.textContent()).toBe("C’est un bon mot de passe.");
    expect(faults).toEqual([]);
    await context.close();
  });
});

describe("the public site", () => {
  for (const [width, scheme] of VIEWS) {
    it(`looks right and is accessible at ${width} px, ${scheme}`, async () => {
      const viewport = { width, height: width < 768 ? 740 : 900 };
      const { page, context, faults } = await open(browser, server.url, { viewport, colorScheme: scheme });
      const found: string[] = [];
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(path);
        await picture(page, `site-${name}-${width}-${scheme}`);
        found.push(...(await obstacles(page, `${name} at ${width} px, ${scheme}`)));
      }
      expect([...found, ...faults]).toEqual([]);
      await context.close();
    }, 300_000);
  }

  it("signs in, searches and takes an answer without JavaScript", async () => {
    const { page, context } = await open(browser, server.url, { javaScriptEnabled: false, locale: "fr-FR" });
    await page.goto("/");
    await page.getByRole("link", { name: "Aide" }).first().click();
    await page.getByRole("searchbox").fill("autentification");
    await page.getByRole("button", { name: "Chercher" }).click();
    await page.getByRole("link", { name: "Échec d’authentification" }).click();
    await page.getByRole("button", { name: "Oui" }).click();
    await page.getByRole("status").getByText("Merci.").waitFor();
    expect(await context.cookies()).toEqual([]);
    await page.goto("/login?next=/help/credits");
    await page.getByLabel("Adresse e-mail").fill(OPERATOR.email);
    await page.getByLabel("Mot de passe").fill("not the password");
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByLabel("Adresse e-mail").inputValue()).toBe(OPERATOR.email);
    await page.getByLabel("Mot de passe").fill(OPERATOR.password);
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.waitForURL("**/help/credits");
    expect((await context.cookies()).map(({ name }) => name)).toEqual(["posthouse_session"]);
    await context.close();
  });
});
