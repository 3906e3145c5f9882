/** How one signs in: the second step, passkeys, and where one is signed in. */
import { queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { Me, PasskeyAsked } from "./types";

export const secondStep = queryOptions({
  queryKey: ["second-step"],
  queryFn: () => ok(client.GET("/account/second-step")),
});

export const sessions = queryOptions({
  queryKey: ["sessions"],
  queryFn: () => ok(client.GET("/sessions")),
});

export type Second = ("totp" | "passkey" | "recovery")[];

/** What is asked for behind the password that was given a moment ago, if it was. */
export const secondAsked = queryOptions({
  queryKey: ["second-asked"],
  queryFn: async (): Promise<Second | null> => {
    const { data, response } = await client.GET("/session/second");
    return response.ok && data ? data.second : null;
  },
  staleTime: 0,
  retry: false,
});

const base64url = (octets: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(octets)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const octets = (text: string) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));

const keys = (ids: string[]) => ids.map((id) => ({ type: "public-key" as const, id: octets(id) }));

/** Whether this browser has passkeys at all. */
export const canPasskey = () => typeof window.PublicKeyCredential === "function";

/** Makes a passkey on this device and tells the server. */
export async function addPasskey(name: string) {
  const asked = await ok(client.POST("/account/passkeys/begin"));
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: octets(asked.challenge),
      rp: { id: asked.site, name: asked.site },
      user: { id: octets(asked.user), name: asked.email, displayName: asked.email },
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: keys(asked.exclude),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: 300_000,
    },
  });
  const answer = (made as PublicKeyCredential).response as AuthenticatorAttestationResponse;
  const key = answer.getPublicKey();
  if (!key) throw new Error("The browser keeps the public key to itself");
  return ok(
    client.POST("/account/passkeys", {
      body: {
        name,
        client_data: base64url(answer.clientDataJSON),
        authenticator_data: base64url(answer.getAuthenticatorData()),
        public_key: base64url(key),
        algorithm: answer.getPublicKeyAlgorithm(),
      },
    }),
  );
}

/** What a passkey of this device answers to a challenge, as the API takes it. */
async function proof(asked: PasskeyAsked) {
  const used = (await navigator.credentials.get({
    publicKey: {
      challenge: octets(asked.challenge),
      rpId: asked.site,
      allowCredentials: keys(asked.allow),
      userVerification: "required",
      timeout: 300_000,
    },
  })) as PublicKeyCredential;
  const answer = used.response as AuthenticatorAssertionResponse;
  return {
    id: base64url(used.rawId),
    client_data: base64url(answer.clientDataJSON),
    authenticator_data: base64url(answer.authenticatorData),
    signature: base64url(answer.signature),
    ...(answer.userHandle && { user: base64url(answer.userHandle) }),
  };
}

/** Signs in with a passkey of this device. */
export async function passkeySignIn(): Promise<Me> {
  const body = await proof(await ok(client.POST("/session/passkey/begin")));
  return ok(client.POST("/session/passkey", { body }));
}

/** Proves with a passkey of this device that whoever is signed in is there still. */
export async function passkeyConfirm() {
  const body = await proof(await ok(client.POST("/session/confirm/passkey/begin")));
  return ok(client.POST("/session/confirm/passkey", { body }));
}

/** Whether it was the person who left a dialog of the browser, which is no fault. */
export const left = (error: unknown) => error instanceof DOMException && error.name === "NotAllowedError";

export const stepCommands = {
  giveCode: (code: string) => ok(client.POST("/session/second", { body: { code } })),
  beginApp: () => ok(client.POST("/account/second-step/app")),
  confirmApp: (code: string) => ok(client.POST("/account/second-step/app/confirm", { body: { code } })),
  newCodes: () => ok(client.POST("/account/second-step/recovery-codes")),
  off: (body: { password: string; code: string }) => ok(client.POST("/account/second-step/off", { body })),
  removePasskey: (id: string) => ok(client.DELETE("/account/passkeys/{id}", { params: { path: { id } } })),
  endSession: (id: string) => ok(client.DELETE("/sessions/{id}", { params: { path: { id } } })),
  endOthers: () => ok(client.DELETE("/sessions")),
};
