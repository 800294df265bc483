// Promise.all gives up waiting at the first failure; here all have ended when it is told, so that nothing is still
// being written when a lock is let go or a folder is removed.

/** The results of all, in their order. @throws the first failure, once all have ended */
export async function allEnded<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Works on `atOnce` items at a time; the results in the items' order. @throws as allEnded */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const left = items.entries();
  const results: R[] = [];
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await allEnded(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
