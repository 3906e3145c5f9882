/** What the account sends often, kept under a name. */
import { queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { CreateTemplate, PreviewTemplate, TemplateWording } from "./types";

export const templates = queryOptions({
  queryKey: ["templates"],
  queryFn: async () => {
    const page = await ok(client.GET("/templates"));
    return { ...page, items: page.items.map((one) => ({ ...one, id: one.name })) };
  },
});

const path = (name: string) => ({ params: { path: { name } } });

export const template = (name: string) =>
  queryOptions({
    queryKey: ["templates", name],
    queryFn: () => ok(client.GET("/templates/{name}", path(name))),
  });

export const createTemplate = (body: CreateTemplate) => ok(client.POST("/templates", { body }));

export const changeTemplate = (name: string, body: TemplateWording) =>
  ok(client.PUT("/templates/{name}", { ...path(name), body }));

export const deleteTemplate = (name: string) => ok(client.DELETE("/templates/{name}", path(name)));

export const previewTemplate = (body: PreviewTemplate) => ok(client.POST("/templates/preview", { body }));
