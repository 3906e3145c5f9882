/** Event hooks: scripts and rules that have a say in what is sent, the account's own and the operator's. */
import { queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { ChangeHook, CreateHook, TestHook } from "./types";

/** Runs come while the page is open. */
const OFTEN_MS = 5_000;

const at = (id: string, everybody: boolean) => ({ params: { path: { id }, query: { everybody } } });

export const hooks = (everybody: boolean) =>
  queryOptions({
    queryKey: ["hooks", "list", everybody],
    queryFn: () => ok(client.GET("/hooks", { params: { query: { everybody } } })),
  });

export const hook = (id: string, everybody: boolean) =>
  queryOptions({
    queryKey: ["hooks", "one", id],
    queryFn: () => ok(client.GET("/hooks/{id}", at(id, everybody))),
  });

export const versions = (id: string, everybody: boolean) =>
  queryOptions({
    queryKey: ["hooks", "versions", id],
    queryFn: () => ok(client.GET("/hooks/{id}/versions", at(id, everybody))),
  });

export const runs = (id: string, everybody: boolean) =>
  queryOptions({
    queryKey: ["hooks", "runs", id],
    queryFn: () => ok(client.GET("/hooks/{id}/runs", at(id, everybody))),
    refetchInterval: OFTEN_MS,
  });

export const createHook = (everybody: boolean, body: CreateHook) =>
  ok(client.POST("/hooks", { params: { query: { everybody } }, body }));

export const changeHook = (id: string, everybody: boolean, body: ChangeHook) =>
  ok(client.PATCH("/hooks/{id}", { ...at(id, everybody), body }));

export const deleteHook = (id: string, everybody: boolean) =>
  ok(client.DELETE("/hooks/{id}", at(id, everybody)));

export const testHook = (body: TestHook) => ok(client.POST("/hooks/test", { body }));
