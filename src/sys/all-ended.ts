// Promise.all gives up waiting at the first failure; here all have ended when it is told, so that nothing is still
// being written when a lock is let go or a folder is removed.

/** The results of all, in their order. @throws the first failure, once all have ended */
export async function allEnded<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Works on `size` items at a time; the results in the items' order. @throws as allEnded */
export async function inGroups<T, R>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += size) {
    results.push(...(await allEnded(items.slice(at, at + size).map(work))));
  }
  return results;
}
