// What of LXC's own log is kept.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLevelFilter, type LxcLevel } from '../../services/log-svc/lxc-level.ts';

const line = (level: string, text: string): string =>
  `lxc-start web 20261121142550.811 ${level.padEnd(8)} conf - ${text}\n`;
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'NOTICE', 'WARN', 'ERROR', 'CRIT', 'ALERT', 'FATAL'];
const ALL = LEVELS.map((level) => line(level, level)).join('');

describe('log-svc.createLevelFilter', () => {
  const through = (least: LxcLevel, ...chunks: readonly string[]): string => {
    const filter = createLevelFilter(least);
    return chunks.map((chunk) => filter(Buffer.from(chunk)).toString()).join('');
  };

  it('keeps lines of a level and above', () => {
    const from = (level: string): string => ALL.slice(ALL.indexOf(line(level, level)));
    assert.equal(through('trace', ALL), ALL);
    assert.equal(through('info', ALL), from('INFO'));
    assert.equal(through('warn', ALL), from('WARN'));
    assert.equal(through('fatal', ALL), from('FATAL'));
  });

  it('keeps with a line, or leaves out, what has no level', () => {
    const text = `begun before\n${line('WARN', 'a')} more\n${line('DEBUG', 'b')} more\n`;
    assert.equal(through('info', text), `begun before\n${line('WARN', 'a')} more\n`);
  });

  it('goes on in the middle of a line, and keeps one of which it cannot tell', () => {
    const [debug, error] = [line('DEBUG', 'b'), line('ERROR', 'c')];
    assert.equal(through('info', debug.slice(0, 60), debug.slice(60) + error.slice(0, 50), error.slice(50)), error);
    assert.equal(through('info', debug + debug.slice(0, 20), debug.slice(20) + debug), debug);
  });
});
