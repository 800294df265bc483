// The page's template is imported as its text: by esbuild in scripts/bundle.mjs, by vitest in vitest.config.ts.

declare module '*.html' {
  const text: string;
  export default text;
}
