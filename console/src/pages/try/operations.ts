/** The operations of the API as its own description tells them. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  example?: unknown;
  enum?: unknown[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  allOf?: Schema[];
  oneOf?: Schema[];
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
}

interface DescribedOperation {
  operationId: string;
  summary: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

export interface Described {
  paths: Record<string, Record<string, DescribedOperation>>;
  components: { schemas: Record<string, Schema> };
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  title: string;
  parameters: { name: string; place: string; required: boolean; hint: string }[];
  body: Schema | undefined;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

export function operations({ paths }: Described): Operation[] {
  return Object.entries(paths)
    .flatMap(([path, item]) =>
      METHODS.flatMap((method) => {
        const one = item[method];
        if (!one) return [];
        return {
          id: one.operationId,
          method,
          path,
          title: one.summary,
          parameters: (one.parameters ?? []).map((parameter) => ({
            name: parameter.name,
            place: parameter.in,
            required: parameter.required === true,
            hint: parameter.description ?? "",
          })),
          body: one.requestBody?.content["application/json"]?.schema,
        };
      }),
    )
    .sort((a, b) => a.title.localeCompare(b.title));
}

/** The path of a request, its parameters filled in; what is empty is left out of the query. */
export function url({ path, parameters }: Operation, values: Record<string, string>): string {
  let filled = path;
  const query = new URLSearchParams();
  for (const { name, place } of parameters) {
    const value = values[name] ?? "";
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value));
    else if (place === "query" && value !== "") query.set(name, value);
  }
  const asked = query.toString();
  return asked === "" ? filled : `${filled}?${asked}`;
}

/** What somebody could send: what has to be there, and what has an example. */
export function example(described: Described, schema: Schema, left = 5): unknown {
  if (schema.example !== undefined) return schema.example;
  if (left === 0) return null;
  if (schema.$ref) {
    const inside = described.components.schemas[schema.$ref.split("/").pop() ?? ""];
    return inside ? example(described, inside, left - 1) : null;
  }
  if (schema.enum) return schema.enum[0];
  const either = schema.oneOf?.find((one) => one.type !== "null");
  if (either) return example(described, either, left - 1);
  const fields: Record<string, unknown> = {};
  for (const part of schema.allOf ?? []) Object.assign(fields, example(described, part, left - 1));
  for (const [name, one] of Object.entries(schema.properties ?? {}))
    if (schema.required?.includes(name) || one.example !== undefined)
      fields[name] = example(described, one, left - 1);
  if (Object.keys(fields).length > 0) return fields;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return schema.items ? [example(described, schema.items, left - 1)] : [];
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return 1;
  return type === "string" ? "text" : {};
}
