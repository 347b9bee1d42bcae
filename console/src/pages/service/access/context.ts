/** Condition keys as people write them: `aws:SourceIp=10.0.0.1`, one a line or separated by spaces. */
export function contextOf(text: string): { key: string; values: string[] }[] {
  const keys = new Map<string, string[]>();
  for (const part of text.split(/\s+/)) {
    const at = part.indexOf("=");
    if (at <= 0) continue;
    const [key, value] = [part.slice(0, at), part.slice(at + 1)];
    keys.set(key, [...(keys.get(key) ?? []), value]);
  }
  return [...keys].map(([key, values]) => ({ key, values }));
}
