// Light or dark: as the reader's system says, until they say otherwise.

import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useEffect, useState } from "react";

const NAME = "kiln.theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

function chosen(): boolean {
  const kept = localStorage.getItem(NAME);
  return kept === null ? DARK.matches : kept === "dark";
}

/** Whether it is dark, and how to change that. */
export function useTheme(): [boolean, () => void] {
  const [isDark, setDark] = useState(chosen);
  useEffect(() => {
    applyMode(isDark ? Mode.Dark : Mode.Light);
  }, [isDark]);
  useEffect(() => {
    const changed = () => setDark(chosen());
    DARK.addEventListener("change", changed);
    return () => DARK.removeEventListener("change", changed);
  }, []);
  const toggle = () => {
    localStorage.setItem(NAME, isDark ? "light" : "dark");
    setDark(!isDark);
  };
  return [isDark, toggle];
}
