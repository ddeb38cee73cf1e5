/** Renders the frame of the page: its head, the main content, and the live region for screen readers. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { BackgroundDownloads } from '../download/background-download-list.js';
import { announcement, opened, openFiles, opening, problem, refuseFolder, retry, shown } from '../session/session.js';
import { KeepList } from '../store/keep-list.js';
import { DropTarget } from '../ui/drop-target.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ImageView } from './image-view.js';
import { PageHead } from './page-head.js';
import { SnapshotView } from './snapshot-view.js';
import { Welcome } from './welcome.js';

/** The whole page. */
export function App(): JSX.Element {
  const now = opened.value;
  const view = shown.value;
  const main = useRef<HTMLElement>(null);
  const notice = useRef<HTMLDivElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && now === null) main.current?.focus(); // the removed buttons had the focus
    wasOpen.current = now !== null;
  }, [now]);
  useEffect(() => {
    const name = view?.name ?? now?.name;
    document.title = name === undefined ? 'qcow2: see inside a virtual disk' : `${name}: qcow2`;
  }, [now, view]);
  useEffect(() => notice.current?.scrollIntoView({ block: 'nearest' }), [problem.value]);
  return (
    <>
      <PageHead />
      <main ref={main} tabIndex={-1}>
        <div ref={notice}>
          {problem.value && (
            <ProblemNotice
              problem={problem.value}
              onDismiss={() => {
                problem.value = null;
                main.current?.focus(); // its button is removed, and the focus with it
              }}
            >
              {retry.value && (
                <button type="button" class="button plain small" onClick={() => retry.value?.()}>
                  Try again
                </button>
              )}
            </ProblemNotice>
          )}
        </div>
        <p class="opening" role="status">
          {opening.value === null ? '' : `Opening ${opening.value}…`}
        </p>
        <KeepList />
        <BackgroundDownloads />
        {now && view && <SnapshotView view={view} opened={now} />}
        {now && !view && <ImageView opened={now} key={now.file} />}
        {!now && <Welcome />}
      </main>
      <p class="visually-hidden" role="status">
        {announcement.value}
      </p>
      <DropTarget onFiles={openFiles} onFolder={refuseFolder} />
    </>
  );
}
