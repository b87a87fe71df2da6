// The tokens of modules: {path: source} on stdin, {path: [[kind, text, first on its line], …]} on stdout.
// Run with --expose-internals: the parser is the one that Node brings for its own console.
const { parse } = require("internal/deps/acorn/acorn/dist/acorn");

const options = { ecmaVersion: "latest", sourceType: "module", locations: true };
const found = {};
for (const [path, source] of Object.entries(JSON.parse(require("node:fs").readFileSync(0, "utf8")))) {
  const tokens = [];
  parse(source, { ...options, onToken: (token) => tokens.push(token) }); // the parser tells a regex from a division
  let line = 0;
  found[path] = tokens.map((token) => {
    const first = token.loc.start.line > line;
    line = token.loc.end.line;
    return [token.type.label, source.slice(token.start, token.end), first];
  });
}
console.log(JSON.stringify(found));
