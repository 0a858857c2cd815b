// Makes r4.txt: the types of FHIR R4 (4.0.1) with their elements, in our own short form.
//
//   npm install fhirpath@5.2.2 && node make.mjs node_modules/fhirpath/fhir-context/r4 > r4.txt
//
// The tables of that package restate HL7's StructureDefinitions, which are CC0.
// One line a type: NAME<PARENT, then one field an element: NAME:TYPE, `*` where it may repeat,
// `[x]` and `A|B` where the type is chosen, `Reference(A/B)` with the types that it may lead to.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const types = read('path2Type.json');
const choices = read('choiceTypePaths.json');
const repeating = new Set(read('path2Repeating.json'));
const elsewhere = read('pathsDefinedElsewhere.json');
const parents = read('type2Parent.json');

const lower = (name) => name[0].toLowerCase() + name.slice(1);
const known = new Set([...Object.keys(parents), ...Object.values(types).map((t) => t.code ?? t)]);
const chosen = (name) => (known.has(name) ? name : lower(name));
const upper = (name) => name[0].toUpperCase() + name.slice(1);
const plain = (path, type) => {
  if (elsewhere[path]) return elsewhere[path];
  const code = type.code ?? type;
  if (code === 'BackboneElement' || code === 'Element') {
    return Object.keys(types).some((other) => other.startsWith(path + '.')) ? path : code;
  }
  if (code === 'Reference' && type.refType) return `Reference(${type.refType.join('/')})`;
  return code.replace(/^System\.String$/, 'string').replace(/^System\./, (s) => s);
};

// The JSON keys of a choice stand in the table one by one: they are gathered under the element's own name.
const gathered = new Map();
for (const [path, names] of Object.entries(choices)) {
  const options = names.map((name) => {
    const own = types[path + upper(name)];
    return own === undefined ? chosen(name) : plain(path + upper(name), own);
  });
  gathered.set(path, options);
}
const ofChoice = new Set(Object.entries(choices).flatMap(([path, names]) => names.map((name) => path + upper(name))));

const holders = new Map();
const add = (path, type) => {
  const cut = path.lastIndexOf('.');
  if (cut < 0) return;
  const [holder, name] = [path.slice(0, cut), path.slice(cut + 1)];
  if (!holders.has(holder)) holders.set(holder, []);
  holders.get(holder).push(`${name}${type}${repeating.has(path) ? '*' : ''}`);
};
for (const [path, type] of Object.entries(types)) {
  if (!ofChoice.has(path)) add(path, ':' + plain(path, type));
}
for (const [path, options] of gathered) add(path, '[x]:' + options.join('|'));

const inherited = (name) => {
  const parent = parents[name] ?? (name.includes('.') ? (types[name]?.code ?? types[name]) : undefined);
  return parent;
};
const all = (name) => (name === undefined ? [] : [...(holders.get(name) ?? []), ...all(inherited(name))]);
const names = new Set([...holders.keys(), ...Object.keys(parents), 'Element', 'BackboneElement', 'Resource', 'DomainResource']);
console.log('# FHIR R4 (4.0.1), made by make.mjs from the tables of npm fhirpath 5.2.2; the definitions are HL7 FHIR, CC0.');
for (const name of [...names].sort()) {
  const parent = inherited(name);
  const above = new Set(all(parent));
  const own = (holders.get(name) ?? []).filter((element) => !above.has(element)).sort();
  console.log([`${name}<${parent ?? ''}`, ...own].join(' '));
}
