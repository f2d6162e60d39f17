// What a container's paths lead to, mount by mount.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Content, createMountView } from '../../services/lxc-svc/mount-view.ts';

const folder = (root: string): Content => ({ kind: 'folder', root, options: new Set() });

describe('the mounts of a container', () => {
  it('are seen at their targets and below them, the nearest first', () => {
    const view = createMountView(folder('/root'));
    view.mount(['a'], folder('/a'));
    view.mount(['a', 'b', 'c'], { kind: 'fresh' });
    const seen = (path: string) => view.at(path === '' ? [] : path.split('/'));
    assert.deepEqual(seen(''), { content: folder('/root'), below: '' });
    assert.deepEqual(seen('ab/c'), { content: folder('/root'), below: 'ab/c' });
    assert.deepEqual(seen('a'), { content: folder('/a'), below: '' });
    assert.deepEqual(seen('a/b'), { content: folder('/a'), below: 'b' });
    assert.deepEqual(seen('a/b/c/d/e'), { content: { kind: 'fresh' }, below: 'd/e' });
  });

  it('are covered by what is mounted above them, or in their place, later', () => {
    const view = createMountView(folder('/root'));
    view.mount(['a', 'b'], folder('/old'));
    view.mount(['a'], folder('/above'));
    assert.deepEqual(view.at(['a', 'b', 'c']), { content: folder('/above'), below: 'b/c' });
    view.mount(['a', 'b'], folder('/new'));
    assert.deepEqual(view.at(['a', 'b', 'c']), { content: folder('/new'), below: 'c' });
    view.mount(['a', 'b'], { kind: 'file' });
    assert.deepEqual(view.at(['a', 'b']), { content: { kind: 'file' }, below: '' });
    view.mount([], { kind: 'unknown' });
    assert.deepEqual(view.at(['a', 'b']), { content: { kind: 'unknown' }, below: 'a/b' });
  });
});
