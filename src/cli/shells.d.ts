// Shell files and the help are imported as text: by esbuild in scripts/bundle.mjs, by vitest in vitest.config.ts.
declare module '*.bash' {
  const text: string;
  export default text;
}
declare module '*.zsh' {
  const text: string;
  export default text;
}
declare module '*.fish' {
  const text: string;
  export default text;
}
declare module '*.help' {
  const text: string;
  export default text;
}
