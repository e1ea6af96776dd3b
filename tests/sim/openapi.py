"""Checks requests and answers against the provider's published OpenAPI document, where that is present."""

import json
import os

import jsonschema


class Spec:
    def __init__(self, path):
        with open(path) as f:
            self.doc = json.load(f)
        self.resolver = jsonschema.RefResolver("", self.doc)

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def response_schema(self, method, path, status):
        op = self.doc["paths"][path][method.lower()]
        answer = self.resolve(op["responses"][str(status)])
        return answer["content"]["application/json"]["schema"]

    def request_schema(self, method, path):
        body = self.resolve(self.doc["paths"][path][method.lower()]["requestBody"])
        return body["content"]["application/json"]["schema"]

    def check(self, value, schema):
        """List of faults: what the schema says, and properties that it does not know."""
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        faults = ["%s: %s" % ("/".join(map(str, e.absolute_path)), e.message) for e in validator.iter_errors(value)]
        return faults + self.unknown(value, schema, "")

    def properties(self, schema):
        """All properties that an object of this schema may have; None when any may."""
        schema = self.resolve(schema)
        out = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []) + schema.get("oneOf", []) + schema.get("anyOf", []):
            out.update(self.properties(part) or {})
        return out or None

    def unknown(self, value, schema, at):
        schema = self.resolve(schema)
        if isinstance(value, list):
            items = schema.get("items")
            return [f for n, v in enumerate(value) for f in self.unknown(v, items, "%s/%d" % (at, n))] if items else []
        if not isinstance(value, dict):
            return []
        known = self.properties(schema)
        if known is None:
            return []
        faults = []
        for k, v in value.items():
            if k not in known:
                faults.append("%s/%s: the document does not know this property" % (at, k))
            else:
                faults += self.unknown(v, known[k], "%s/%s" % (at, k))
        return faults


def load(specs):
    """The SMS document, or None."""
    path = os.path.join(specs, "infobip", "infobip-sms-openapi.json") if specs else ""
    return Spec(path) if os.path.exists(path) else None
