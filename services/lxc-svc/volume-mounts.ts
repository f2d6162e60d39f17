// Sources of mount entries below /volumes/<container>: volumes of the container, wherever they are kept. Pure.
import { type ConfigLine, type ConfigPart, type ConfigSettings, placeOf } from './config-draft.ts';
import { escapeBlanks } from './mount-entries.ts';

export const volumeMounts: ConfigPart = (draft, settings) => {
  const volumeFolders: string[] = [];
  const notes: string[] = [];
  const entries = draft.entries.map((entry): ConfigLine => {
    if (entry.key !== 'lxc.mount.entry') return entry;
    const { value, folder } = bindVolume(entry.value, settings);
    if (folder !== undefined) volumeFolders.push(folder);
    if (value !== entry.value) notes.push(`${placeOf(entry)} ${entry.value} mounts ${value.split(' ')[0]}`);
    return { ...entry, value };
  });
  return { entries, volumeFolders: [...draft.volumeFolders, ...volumeFolders], notes: [...draft.notes, ...notes] };
};

function bindVolume(value: string, { container, volumeFolder }: ConfigSettings): { value: string; folder?: string } {
  const [source = '', ...rest] = value.split(/\s+/);
  const prefix = `/volumes/${container}/`;
  if (!source.startsWith(prefix)) return { value };
  const [volume = '', ...inside] = source.slice(prefix.length).split('/');
  // Two dots would lead out of the container's own volumes.
  if (volume === '' || [volume, ...inside].includes('..')) return { value };
  const folder = [volumeFolder(volume), ...inside].join('/').replace(/\/+$/, '');
  return { value: [escapeBlanks(folder), ...rest].join(' '), folder };
}
