// A template of YAML is imported as its text: by esbuild in scripts/bundle.mjs, by vitest in vitest.config.ts.

declare module '*.yml' {
  const text: string;
  export default text;
}
