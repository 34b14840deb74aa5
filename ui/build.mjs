// Builds src/ into dist/: scripts and styles with a hash in their names, index.html, the licences of
// what is bundled, and manifest.json, by which a test without Node sees whether dist/ is of this src/.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = dirname(fileURLToPath(import.meta.url));
const dist = join(home, 'dist');
process.chdir(home);

const sha256 = (content) => createHash('sha256').update(content).digest('hex');

function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((one) => one.isFile())
    .map((one) => relative(home, join(one.parentPath, one.name)).split(sep).join('/'));
}

// The same sum as tests/ui/test_dist.py: for each file its name and the sum of its content.
function sourceHash() {
  const names = [...filesOf(join(home, 'src')), 'build.mjs', 'package.json', 'package-lock.json'];
  return sha256(names.sort().map((name) => `${name} ${sha256(readFileSync(name))}\n`).join(''));
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
const result = await build({
  entryPoints: { app: 'src/main.tsx', rest: 'src/style/rest.css' },
  outdir: 'dist',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  preserveSymlinks: true,
  format: 'esm',
  minify: true,
  metafile: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  target: ['chrome123', 'firefox120', 'safari17.5'],
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'warning',
});

const outputs = Object.entries(result.metafile.outputs);
const nameOf = (path) => path.replace(/^dist\//, '');
const [script, main] = outputs.find(([, one]) => one.entryPoint === 'src/main.tsx');
const preloads = main.imports
  .filter((one) => one.kind === 'import-statement')
  .map((one) => `<link rel="modulepreload" href="${nameOf(one.path)}">\n`);
const page = readFileSync('src/index.html', 'utf8')
  .replace('{style}', nameOf(main.cssBundle))
  .replace('{rest}', nameOf(outputs.find(([, one]) => one.entryPoint === 'src/style/rest.css')[0]))
  .replace('{script}', nameOf(script))
  .replace('{preloads}\n', preloads.join(''));
writeFileSync('dist/index.html', page);
writeFileSync('dist/icon.svg', readFileSync('src/icon.svg'));

const packages = new Set();
for (const path of Object.keys(result.metafile.inputs)) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
  if (found) packages.add(found[1]);
}
const licences = [...packages].sort().map((name) => {
  const folder = join('node_modules', name);
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '(no text in the package)';
  return `${name} ${about.version}: ${about.license}\n\n${text}\n`;
});
writeFileSync('dist/LICENSES.txt', licences.join(`\n${'-'.repeat(80)}\n\n`));

const made = Object.fromEntries(readdirSync(dist).sort().map((n) => [n, sha256(readFileSync(join(dist, n)))]));
writeFileSync('dist/manifest.json', `${JSON.stringify({ source: sourceHash(), files: made }, null, 2)}\n`);
