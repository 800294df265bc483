// Promise.all stops waiting at the first failure; here the result comes after all have ended, so that nothing is still
// being written when a lock is released or a folder is removed.

/** All results, in order. @throws the first failure, once all have ended */
async function allEnded<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * Works on `atOnce` items at a time; the results are in the items' order. After a failure no new item is started.
 * @throws as allEnded
 */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  // Unlike an array's own iterator, it ends for all workers once one of them leaves its loop.
  const left = entriesOf(items);
  const results: R[] = [];
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await allEnded(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}

function* entriesOf<T>(items: readonly T[]): Generator<readonly [number, T]> {
  yield* items.entries();
}
