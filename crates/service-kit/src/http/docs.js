// Shows /openapi.json: every operation with its parameters, body and answers. Text is only ever set
// as text, so nothing in the document can run.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 6; // levels of nested schemas that are shown

function element(tag, text, ...children) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

function resolve(api, value) {
  if (!value || !value.$ref) return value || {};
  return value.$ref.slice(2).split("/").reduce((node, key) => (node || {})[key], api) || {};
}

function sample(api, schema, depth) {
  const found = resolve(api, schema);
  if (depth > DEEPEST) return "…";
  if (found.example !== undefined) return found.example;
  const variant = (found.oneOf || found.anyOf || [])[0];
  if (variant) return sample(api, variant, depth + 1);
  if (found.allOf) {
    return Object.assign({}, ...found.allOf.map((part) => sample(api, part, depth + 1)));
  }
  if (found.enum) return found.enum[0];
  if (found.properties) {
    const fields = Object.entries(found.properties);
    return Object.fromEntries(fields.map(([name, field]) => [name, sample(api, field, depth + 1)]));
  }
  if (found.items) return [sample(api, found.items, depth + 1)];
  const type = Array.isArray(found.type) ? found.type[0] : found.type;
  return { integer: 0, number: 0, boolean: false, string: found.format || "text" }[type] ?? null;
}

function parameters(api, list) {
  const table = element("table");
  for (const entry of list) {
    const parameter = resolve(api, entry);
    const name = parameter.name + (parameter.required ? " *" : "");
    table.append(element("tr", "", element("td", "", element("code", name)),
      element("td", parameter.in), element("td", parameter.description)));
  }
  return table;
}

function content(api, container, title) {
  return Object.entries(container.content || {}).flatMap(([type, media]) => [
    element("p", `${title} ${type}`),
    element("pre", JSON.stringify(media.example ?? sample(api, media.schema, 0), null, 2)),
  ]);
}

function operation(api, path, method, spec, shared) {
  const summary = element("summary", "", element("span", method.toUpperCase()),
    element("code", path), document.createTextNode(" " + (spec.summary || "")));
  summary.firstChild.className = "method";
  const node = element("details", "", summary);
  if (spec.description) node.append(element("p", spec.description));
  const all = [...shared, ...(spec.parameters || [])];
  if (all.length) node.append(parameters(api, all));
  if (spec.requestBody) node.append(...content(api, resolve(api, spec.requestBody), "Body"));
  for (const [status, entry] of Object.entries(spec.responses || {})) {
    const response = resolve(api, entry);
    node.append(element("p", `${status} ${response.description || ""}`));
    node.append(...content(api, response, status));
  }
  return node;
}

async function show() {
  const api = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths || {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = (item[method].tags || ["Operations"])[0];
      if (!groups.has(tag)) groups.set(tag, [element("h2", tag)]);
      groups.get(tag).push(operation(api, path, method, item[method], item.parameters || []));
    }
  }
  document.title = api.info.title;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("description").textContent = api.info.description || "";
  document.getElementById("operations").replaceChildren(...[...groups.values()].flat());
}

show().catch((error) => {
  document.getElementById("operations").textContent = `The document could not be shown: ${error}`;
});
