/** Renders the section that checks the image: the button, the verdict, and a table of the findings. */
import type { JSX } from 'preact';
import type { CheckReport, Finding } from 'qcow2';
import { formatCount, formatOffset } from '../engine/size.js';
import { Card } from '../ui/card.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ProgressFigures } from '../ui/progress-figures.js';
import { ScrollTable } from '../ui/scroll-table.js';
import { clusterWords, FINDING_WORDS, listedWords, MAX_LISTED, verdict } from './check-words.js';
import type { ImageCheck } from './image-check.js';

/** The check, in any state. */
export function CheckCard({ check }: { readonly check: ImageCheck }): JSX.Element {
  const state = check.state.value;
  const running = state.step === 'running';
  return (
    <Card title="Check" class="check-card">
      <div class="download-row">
        <p>
          Counts every reference to every cluster, and compares the counts with those in the file. Nothing is changed.
        </p>
        <button type="button" class="button plain" onClick={() => (running ? check.cancel() : void check.run())}>
          {running ? 'Cancel the check' : 'Check the image'}
        </button>
      </div>
      {running && (
        <ProgressFigures label="Checking the image" done={state.done} total={state.total} pace={check.pace} />
      )}
      {state.step === 'cancelled' && <p>Cancelled. The rest was not checked.</p>}
      {state.step === 'refused' && <ProblemNotice problem={state.problem} />}
      {state.step === 'finished' && <Report report={state.report} />}
      <p class="visually-hidden" role="status">
        {announcementOf(check)}
      </p>
    </Card>
  );
}

function Report({ report }: { readonly report: CheckReport }): JSX.Element {
  const listed = report.findings.slice(0, MAX_LISTED);
  const words = listedWords(report);
  return (
    <>
      <div>
        {verdict(report).map((sentence) => (
          <p key={sentence}>
            <strong>{sentence}</strong>
          </p>
        ))}
        <p class="soft">{clusterWords(report)}</p>
      </div>
      {listed.length > 0 && (
        <ScrollTable
          label="Findings"
          columns={['Kind', 'Where', { name: 'At', number: true }, { name: 'How often', number: true }, 'What']}
        >
          {listed.map((finding, index) => (
            <FindingRow key={index} finding={finding} />
          ))}
        </ScrollTable>
      )}
      {words !== null && <p class="soft">{words}</p>}
    </>
  );
}

function FindingRow({ finding }: { readonly finding: Finding }): JSX.Element {
  return (
    <tr>
      <td>{FINDING_WORDS[finding.kind]}</td>
      <td>{finding.what}</td>
      <td class="number code">{formatOffset(finding.at)}</td>
      <td class="number">{formatCount(finding.count)}</td>
      <td class="words">{finding.message}</td>
    </tr>
  );
}

/** For screen readers: the start and the end. */
function announcementOf({ state: { value } }: ImageCheck): string {
  if (value.step === 'running') return 'Checking the image.';
  if (value.step === 'cancelled') return 'The check was cancelled.';
  return value.step === 'finished' ? verdict(value.report).join(' ') : '';
}
