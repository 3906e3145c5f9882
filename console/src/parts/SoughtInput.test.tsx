import { MantineProvider } from "@mantine/core";
import { act } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SoughtInput } from "./SoughtInput";

const sought: (string | undefined)[] = [];
let root: ReturnType<typeof createRoot>;

/** The page when the address says this. */
const address = (q?: string) =>
  act(async () =>
    root.render(
      <MantineProvider>
        <SoughtInput sought={q} onSeek={(text) => sought.push(text)} />
      </MantineProvider>,
    ),
  );

const field = () => document.querySelector("input") as HTMLInputElement;

async function type(text: string) {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field(), text);
    field().dispatchEvent(new Event("input", { bubbles: true }));
  });
}

const pause = () => act(async () => void vi.advanceTimersByTime(300));

beforeEach(async () => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.useFakeTimers();
  sought.length = 0;
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild as Element);
  await address();
});

afterEach(async () => {
  await act(async () => root.unmount());
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("what is typed while the address follows stays", async () => {
  await type("dora ");
  await pause();
  expect(sought).toEqual(["dora"]);
  await type("dora s");
  await address("dora");
  expect(field().value).toBe("dora s");
  await pause();
  await address("dora s");
  expect([field().value, sought]).toEqual(["dora s", ["dora", "dora s"]]);
});

it("what is taken back before the address has it is taken back there", async () => {
  await type("dora");
  await pause();
  await type("");
  await pause();
  expect(sought).toEqual(["dora", undefined]);
});

it("what is cleared elsewhere before the address has it stays cleared", async () => {
  await type("dora");
  await pause();
  await address("dora");
  await type("dora x");
  await address(undefined);
  await pause();
  expect([field().value, sought]).toEqual(["", ["dora"]]);
});

it("an address that was not typed here is shown", async () => {
  await type("dora");
  await pause();
  await address("dora");
  await address(undefined);
  expect(field().value).toBe("");
  await address("erin");
  expect(field().value).toBe("erin");
});
