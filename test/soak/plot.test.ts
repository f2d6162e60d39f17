// The picture of a soak: whole, for every figure, and red where something grows.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reportText, svgOfReport } from '../../scripts/soak/report.ts';
import { verdictsOf } from '../../scripts/soak/run.ts';

const looks = Array.from({ length: 30 }, (_, cycle) => ({ mounts: 10 + cycle, links: 4, 'kB of <b> & "c"': 100 }));
const report = { seed: 3, cycles: 30, updates: 5, rollbacks: 2, seconds: 12.3, verdicts: verdictsOf(looks) };

describe('soak.plot', () => {
  it('is one element with a line for each figure, and escapes names', () => {
    const svg = svgOfReport(report);
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
    assert.equal([...svg.matchAll(/<polyline /g)].length, 3);
    assert.ok(svg.includes('kB of &lt;b&gt; &amp; &quot;c&quot;'));
    for (const name of ['svg', 'g', 'text']) {
      const count = (pattern: RegExp): number => [...svg.matchAll(pattern)].length;
      assert.equal(count(new RegExp(`<${name}[ >]`, 'g')), count(new RegExp(`</${name}>`, 'g')), name);
    }
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  });

  it('draws what grows in red, and nothing else', () => {
    const red = [...svgOfReport(report).matchAll(/<polyline fill="none" stroke="#c00"/g)];
    assert.equal(red.length, 1);
  });

  it('is whole for a run that ended before a second cycle', () => {
    const svg = svgOfReport({ ...report, cycles: 1, verdicts: verdictsOf(looks.slice(0, 1)) });
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  });
});

describe('soak.report', () => {
  it('names what grows, by how much, and how to see it again', () => {
    const text = reportText(report);
    assert.match(text, /^GROWS mounts .* 10 → 39, 1 per cycle, at least 1$/m);
    assert.match(text, /^flat {2}links .* 4 → 4, 0 per cycle/m);
    assert.match(text, /npm run soak -- --seed 3 --cycles 30: 1 figures grow$/);
  });

  it('follows a figure that is not there in every look, as that of a service that was away', () => {
    const [verdict] = verdictsOf([{ a: 1 }, {}, { a: 3 }]);
    assert.deepEqual(verdict?.points, [
      { cycle: 0, value: 1 },
      { cycle: 2, value: 3 },
    ]);
  });
});
