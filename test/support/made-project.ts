// Projects that are already made. A first make costs ten times as much as copying its files, so a test file makes one
// for each of its settings, and copies it.

import { cpSync, readdirSync } from 'node:fs';
import { afterAll } from 'vitest';
import { makeProject, type Project } from './project.js';

const templates = new Map<string, Promise<Project>>();

afterAll(async () => {
  for (const template of templates.values()) (await template).remove();
  templates.clear();
});

/** Brings a new project to the state after a first make. Those with the same settings have the same keys. */
export async function putMade(project: Project): Promise<void> {
  const files = [...readdirSync(project.folder), ...readdirSync(project.home)];
  if (files.join() !== 'settings.json') throw new Error(`not a new project, it has ${files.join(', ')}`);
  const settings = project.read('settings.json');
  const template = templates.get(settings) ?? makeTemplate(settings);
  templates.set(settings, template);
  copyProject(await template, project);
}

async function makeTemplate(settings: string): Promise<Project> {
  const template = makeProject(null);
  template.write('settings.json', settings);
  const { status, stderr } = await template.run(['make']);
  if (status !== 0) throw new Error(stderr);
  return template;
}

function copyProject(from: Project, to: Project): void {
  for (const part of ['folder', 'home'] as const) {
    cpSync(from[part], to[part], { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  }
}
