/** Renders the request for missing files of the open chain. */
import type { JSX } from 'preact';
import { provideFile } from '../session/session.js';
import { ChooseButton } from '../ui/choose-button.js';
import { type Missing, shortName } from './chain.js';
import { type Origin, RemoteFile } from './origin.js';

interface MissingFilesProps {
  readonly missing: readonly Missing[];
  /** The image that was opened. */
  readonly leaf: Origin;
}

/** Asks for each missing file by name; null when the chain is complete. */
export function MissingFiles({ missing, leaf }: MissingFilesProps): JSX.Element | null {
  if (missing.length === 0) return null;
  return (
    <div class="notice" role="status">
      {missing.map((file) => {
        const name = file.name === undefined ? undefined : shortName(file.name);
        return (
          <div class="missing" key={`${file.neededBy}:${file.name}`}>
            <p>
              {sentenceFor(file, leaf.name)} <strong>Drop it here too, or choose it.</strong>
            </p>
            <ChooseButton multiple={false} onFiles={([chosen]) => chosen && provideFile(file, chosen)}>
              Choose {name ?? 'its data file'}
            </ChooseButton>
          </div>
        );
      })}
      <p class="soft">
        {leaf instanceof RemoteFile && `Only files on ${leaf.url.host} are fetched automatically. `}
        Until then, the header and the map of what is here are below; the rest of the map is unknown.
      </p>
    </div>
  );
}

function sentenceFor(file: Missing, leafName: string): string {
  const subject = file.neededBy === leafName ? 'This image' : file.neededBy;
  const name = file.name === undefined ? 'a file that it does not name' : shortName(file.name);
  if (file.kind === 'data') return `${subject} keeps its data in ${name}.`;
  return `${subject} is an overlay over ${name}.`;
}
