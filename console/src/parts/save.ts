/** Lets the browser save a file. */
export function save(content: Blob, name: string) {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after this function.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
