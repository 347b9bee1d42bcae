import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["src/**/*.test.ts"] },
  plugins: [react()],
  // Where kiln-api serves it.
  base: "/-/",
  build: {
    outDir: "dist/app",
    target: "es2022",
    // The content security policy lets nothing in from `data:` but images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      output: {
        manualChunks: (id) => {
          if (id.includes("@aws-") || id.includes("@smithy")) return "aws";
          if (/@codemirror|@lezer|style-mod|crelt|w3c-keyname/.test(id)) return "editor";
          if (id.includes("node_modules")) return "ui";
          return undefined;
        },
      },
    },
  },
});
