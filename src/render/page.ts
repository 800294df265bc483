// `show --format html`: the steps of all hosts as one page that needs nothing from elsewhere. page.html has its style
// and script; its content is made here, as elements. All text is escaped, and the policy lets the page run and load
// only the style and script that came with it, so any text stays text.

import { hash } from 'node:crypto';
import type { CertificateInfo } from '../certificate/certificate.js';
import { daysLeft } from '../plan/leaf-days.js';
import type { Settings } from '../settings/settings.js';
import { scriptCommand } from './commands.js';
import type { Shown } from './host.js';
import template from './page.html';
import { placeOf, type Step } from './step.js';

/** A certificate in the timeline. */
interface Dated {
  readonly name: string;
  readonly role: string;
  readonly info: CertificateInfo;
}

export interface Page {
  readonly settings: Settings;
  readonly shown: readonly Shown[];
  readonly certificates: readonly Dated[];
  readonly at: Date;
}

const day = 86_400_000;

export function renderPage({ settings, shown, certificates, at }: Page): string {
  const title = `relaycerts: ${settings.domain}`;
  const serials = new Map(certificates.map(({ name, info }) => [name, info.serial]));
  const main = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p class="quiet">Made on ${dateOf(at)}. It holds no secret. The relays come first, then the homes.</p>`,
    '<div class="hosts">',
    ...shown.map((one, index) => renderShown(one, `h${index}`, serials.get(one.host.hostname) ?? 'none')),
    '</div>',
    certificates.length === 0 ? '' : renderTimeline(settings, certificates, at),
  ].join('\n');
  const parts: Readonly<Record<string, string>> = { title: escapeHtml(title), policy: policyOf(template), main };
  return template.replaceAll(/\{\{(title|policy|main)\}\}/gu, (_, name: string) => parts[name] ?? '');
}

/** Allows what is in the page, by its digest, and nothing else. */
function policyOf(page: string): string {
  const allowed = ['style', 'script'].map((element) => {
    const [, text = ''] = new RegExp(`<${element}>([^]*?)</${element}>`, 'u').exec(page) ?? [];
    return `${element}-src 'sha256-${hash('sha256', text, 'base64')}'`;
  });
  return ["default-src 'none'", ...allowed, "base-uri 'none'", "form-action 'none'"].join('; ');
}

function renderShown({ settings, host, steps, undo, section }: Shown, id: string, serial: string): string {
  const { hostname, role } = host;
  const wanted = section === undefined ? steps : steps.filter((step) => step.section === section);
  const command = scriptCommand(settings.program, host, undo ? ['--undo'] : []);
  const whole = undo ? 'One script undoes it:' : 'After the copy, one script does everything up to the check:';
  const script = [
    `<p>${whole}</p>`,
    renderCopied(`${id}-script`, 'run here', `${command}\n`, `the script of ${hostname}`),
  ];
  return [
    `<section aria-labelledby="${id}">`,
    `<h2 id="${id}">${escapeHtml(hostname)}</h2>`,
    `<p class="quiet">${role}</p>`,
    ...(section === undefined && host.container === undefined ? script : []),
    '<ol>',
    ...wanted.map((step, at) =>
      renderStep(step, `${id}-${at}`, `${hostname} ${serial} ${undo ? 'undo ' : ''}${step.section}`, hostname),
    ),
    '</ol>',
    '</section>',
  ].join('\n');
}

/** `name` is the key under which the tick is remembered. */
function renderStep({ title, parts }: Step, id: string, name: string, hostname: string): string {
  const body = parts.map((part, at) =>
    typeof part === 'string'
      ? renderWords(part, `${id}-${at}`, title)
      : renderCopied(`${id}-${at}`, placeOf(part, hostname), `${part.lines.join('\n')}\n`, title),
  );
  const tick = `<input type="checkbox" name="${escapeHtml(name)}" disabled autocomplete="off">`;
  return [`<li>`, `<h3><label>${tick} ${escapeHtml(title)}</label></h3>`, ...body, '</li>'].join('\n');
}

/** Words; an indented line between them is a command. */
function renderWords(text: string, id: string, title: string): string {
  return text
    .split('\n')
    .map((line, at) =>
      line.startsWith('    ')
        ? renderCopied(`${id}-${at}`, '', `${line.trim()}\n`, title)
        : `<p>${escapeHtml(line)}</p>`,
    )
    .join('\n');
}

/** A block with its copy button, which needs the script and is hidden without it. */
function renderCopied(id: string, place: string, text: string, title: string): string {
  const label = escapeHtml(`Copy: ${title}${place === '' ? '' : `, ${place}`}`);
  return [
    `<div class="place"><span>${escapeHtml(place)}</span>`,
    `<button type="button" hidden aria-controls="${id}" title="${label}">Copy</button></div>`,
    // A line feed right after the tag is not part of the text.
    `<pre id="${id}">\n${escapeHtml(text)}</pre>`,
  ].join('');
}

/** Every expiry, the next one first; the script recounts the days when the page is read. */
function renderTimeline({ certificates: { renewBeforeDays } }: Settings, all: readonly Dated[], at: Date): string {
  const rows = all
    .toSorted((a, b) => a.info.notAfter.getTime() - b.info.notAfter.getTime())
    .map(({ name, role, info }) => {
      const { notBefore, notAfter } = info;
      const due = new Date(notAfter.getTime() - renewBeforeDays * day);
      const share = Math.min(
        1,
        Math.max(0, (notAfter.getTime() - at.getTime()) / (notAfter.getTime() - notBefore.getTime())),
      );
      const dates = `data-begins="${notBefore.toISOString()}" data-due="${due.toISOString()}" data-ends="${notAfter.toISOString()}"`;
      const left = daysLeft(info, at);
      const bar = `<rect class="validity" width="100" height="10"/><rect class="left" width="${(100 * share).toFixed(1)}" height="10"/>`;
      return [
        `<tr ${dates}><th scope="row">${escapeHtml(name)}<br><span class="quiet">${escapeHtml(role)}</span></th>`,
        `<td>${dateOf(due)}</td><td>${dateOf(notAfter)}</td>`,
        `<td class="days">${left < 0 ? 'expired' : left}</td>`,
        `<td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${bar}</svg></td></tr>`,
      ].join('');
    });
  const head = ['Certificate', 'Due', 'Expires', 'Days left'].map((word) => `<th scope="col">${word}</th>`).join('');
  return [
    '<h2 id="expiry">What expires, and when</h2>',
    '<table aria-labelledby="expiry">',
    `<thead><tr>${head}<td class="bar"></td></tr></thead>`,
    `<tbody>${rows.join('\n')}</tbody>`,
    '</table>',
  ].join('\n');
}

function dateOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Text for an element or an attribute in quotes. Characters that a browser cannot show, or that reverse the line,
 * become question marks.
 */
function escapeHtml(text: string): string {
  return text
    .replaceAll(/[&<>"']/gu, (character) => entities[character] ?? '')
    .replaceAll(/[^\P{C}\n\t]|[\u2028\u2029]/gu, '?');
}
