// What the transaction promises besides surviving crashes: a moved project, disks that cannot sync, misuse, and
// messages.

import { describe, expect, it } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { commitChange, dropDraft, isCutOff, recoverChange, stageChange } from '../../src/store/transaction.js';
import { imageOf, textOf, textOfTree, treeOf, type DiskImage } from '../support/disk-image.js';
import { home, project, scenarios, type Scenario } from '../support/sample-changes.js';
import { SimulatedDisk } from '../support/simulated-disk.js';

function scenarioOf(kind: string): Scenario {
  const found = scenarios.find(({ name }) => name === kind);
  if (found === undefined) throw new Error(`there is no ${kind}`);
  return found;
}

/** The disk after a kill, as soon as the change was committed. */
async function cutOff({ before, change }: Scenario): Promise<DiskImage> {
  const disk = new SimulatedDisk(imageOf(before));
  await stageChange(disk, project, change);
  await disk.rename(`${project}/.relaycerts.change/draft`, `${project}/.relaycerts.change/journal`);
  return disk.image();
}

describe('a change that was cut off', () => {
  it('is finished even after the project was moved', async () => {
    const scenario = scenarioOf('first make');
    const disk = new SimulatedDisk(await cutOff(scenario));
    await disk.rename(project, `${home}/moved`);
    expect(await recoverChange(disk, `${home}/moved`)).toEqual({ isRecovered: true, edited: [] });
    await disk.rename(`${home}/moved`, project);
    expect(textOf(disk.image())).toBe(textOfTree(scenario.after));
  });

  it('is not dropped, and nothing else is staged before it is finished', async () => {
    const scenario = scenarioOf('revoke');
    const disk = new SimulatedDisk(await cutOff(scenario));
    await dropDraft(disk, project);
    await expect(stageChange(disk, project, scenario.change)).rejects.toThrow(TypeError);
    expect(await isCutOff(disk, project)).toBe(true);
    await recoverChange(disk, project);
    expect(textOf(disk.image())).toBe(textOfTree(scenario.after));
  });

  it('if staged files are gone, says so and how to give up the change', async () => {
    const disk = new SimulatedDisk(await cutOff(scenarioOf('retire')));
    await disk.unlink(`${project}/.relaycerts.change/0`);
    const failure = await recoverChange(disk, project).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RelaycertsError);
    expect(failure).toMatchObject({
      code: 'files',
      message: expect.stringContaining(`"${project}/.relaycerts.change/0" is missing or damaged`) as string,
      hint: expect.stringContaining(`rm -r ${project}/.relaycerts.change`) as string,
    });
  });
});

describe('stageChange', () => {
  it('refuses to replace what must be new, and leaves nothing', async () => {
    const { change, after } = scenarioOf('first make');
    const disk = new SimulatedDisk(imageOf(after));
    const failure = await stageChange(disk, project, change).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'files',
      message: expect.stringContaining('is in the way of a new file') as string,
    });
    expect(textOf(disk.image())).toBe(textOfTree(after));
  });

  it('leaves nothing after it is dropped, folders elsewhere included', async () => {
    const { before, change } = scenarioOf('first make');
    const disk = new SimulatedDisk(imageOf(before));
    await stageChange(disk, project, change);
    expect(treeOf(disk.image()).has(`${home}/.config/relaycerts`)).toBe(true);
    await dropDraft(disk, project);
    expect(textOf(disk.image())).toBe(textOfTree(before));
  });
});

describe('folders that cannot be synced', () => {
  it('are named, and the change is made', async () => {
    const { before, change, after } = scenarioOf('renew');
    const disk = new SimulatedDisk(imageOf(before), { cannotSync: [project, `${project}/.relaycerts.change`] });
    await stageChange(disk, project, change);
    await commitChange(disk, project);
    expect(textOf(disk.image())).toBe(textOfTree(after));
    expect([...disk.unsynced]).toContain(project);
  });
});
