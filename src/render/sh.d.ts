// A shell file is imported as its text: by esbuild in scripts/bundle.mjs, by vitest in vitest.config.ts.

declare module '*.sh' {
  const text: string;
  export default text;
}
