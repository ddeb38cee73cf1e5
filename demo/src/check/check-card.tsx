/** Renders the section that checks the image: the button, the verdict, and a table of what was found. */
import type { JSX } from 'preact';
import type { CheckReport, Finding } from 'qcow2';
import { formatCount } from '../engine/size.js';
import { Card } from '../ui/card.js';
import { ProblemNotice } from '../ui/problem-notice.js';
import { ProgressFigures } from '../ui/progress-figures.js';
import { ScrollTable } from '../ui/scroll-table.js';
import { clusterWords, figureWords, IMPACT_WORDS, placeLines, rangeLines, verdict } from './check-words.js';
import type { ImageCheck } from './image-check.js';

/** The check, in any state. */
export function CheckCard({ check }: { readonly check: ImageCheck }): JSX.Element {
  const state = check.state.value;
  const running = state.step === 'running';
  return (
    <Card title="Check" class="check-card">
      <div class="download-row">
        <p>Looks for damage and wasted space. Changes nothing.</p>
        <button type="button" class="button plain" onClick={() => (running ? check.cancel() : void check.run())}>
          {running ? 'Cancel the check' : 'Check the image'}
        </button>
      </div>
      {running && (
        <ProgressFigures label="Checking the image" done={state.done} total={state.total} pace={check.pace} />
      )}
      {state.step === 'cancelled' && <p>Cancelled. The rest was not checked.</p>}
      {state.step === 'refused' && <ProblemNotice problem={state.problem} />}
      {state.step === 'finished' && <Report report={state.report} clusterSize={check.clusterSize} />}
      <p class="visually-hidden" role="status">
        {announcementOf(check)}
      </p>
    </Card>
  );
}

interface ReportProps {
  readonly report: CheckReport;
  readonly clusterSize: number;
}

function Report({ report, clusterSize }: ReportProps): JSX.Element {
  return (
    <>
      <div>
        {verdict(report, clusterSize).map((sentence) => (
          <p key={sentence}>
            <strong>{sentence}</strong>
          </p>
        ))}
        <p class="soft">{figureWords(report)}</p>
        <p class="soft">{clusterWords(report)}</p>
      </div>
      {report.findings.length > 0 && (
        <ScrollTable
          label="Findings"
          columns={['Meaning', { name: 'How often', number: true }, 'First places in the file', 'On the disk']}
        >
          {report.findings.map((finding) => (
            <FindingRow key={`${finding.kind} ${finding.fault} ${finding.impact}`} finding={finding} />
          ))}
        </ScrollTable>
      )}
    </>
  );
}

function FindingRow({ finding }: { readonly finding: Finding }): JSX.Element {
  return (
    <tr>
      <td>{IMPACT_WORDS[finding.impact]}</td>
      <td class="number" data-column="How often">
        {formatCount(finding.count)}
      </td>
      <td class="words" data-column="First places in the file">
        {lines(placeLines(finding))}
      </td>
      <td class="words" data-column="On the disk">
        {lines(rangeLines(finding))}
      </td>
    </tr>
  );
}

function lines(texts: readonly string[]): JSX.Element[] {
  return texts.map((text) => <div key={text}>{text}</div>);
}

/** For screen readers: the start and the end. */
function announcementOf({ state: { value }, clusterSize }: ImageCheck): string {
  if (value.step === 'running') return 'Checking the image.';
  if (value.step === 'cancelled') return 'The check was cancelled.';
  return value.step === 'finished' ? verdict(value.report, clusterSize).join(' ') : '';
}
