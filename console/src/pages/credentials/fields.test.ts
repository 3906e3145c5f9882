import { expect, it } from "vitest";
import type { SmtpCredential } from "../../api/types";
import { limits, standing } from "./fields";

const one: SmtpCredential = {
  id: "1",
  username: "alice@example.com",
  name: "Web shop",
  prefix: "phs_4fZk1",
  networks: ["192.0.2.0/28", "2001:db8::/48"],
  rate: 500,
  expires_at: "2027-01-31T12:00:00.000Z",
  stream: "marketing",
  sandbox: false,
  created_at: "2026-01-01T00:00:00Z",
  used_at: null,
  used_from: null,
};

it("a form that nobody touched asks for what there is", () => {
  const { networks, rate, expires_at, stream } = one;
  expect(limits(standing(one), expires_at)).toEqual({ networks, rate, expires_at, stream });
  const unbound = { ...one, networks: [], rate: null, expires_at: null, stream: null };
  expect(limits(standing(unbound), null)).toEqual({ networks: [], stream: null });
});

it("another day lasts to its end, and an emptied field binds no more", () => {
  const wanted = { ...standing(one), networks: " 192.0.2.1; 192.0.2.2,\n", rate: "", until: "2027-02-01" };
  expect(limits(wanted, one.expires_at)).toEqual({
    networks: ["192.0.2.1", "192.0.2.2"],
    expires_at: new Date("2027-02-01T23:59:59").toISOString(),
    stream: "marketing",
  });
  expect(limits({ ...wanted, until: null }, one.expires_at)).not.toHaveProperty("expires_at");
});
