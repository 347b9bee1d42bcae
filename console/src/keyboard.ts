// Shortcuts: `g` and a letter go to a page, `/` finds in the page, `?` shows them all. Whoever does not want single keys to
// do something switches them off.

import { useEffect, useState } from "react";
import { navigate, paths } from "./router";
import { TEXT } from "./text";

const NAME = "kiln.shortcuts";

/** How long after `g` a letter is waited for, in milliseconds. */
const PATIENCE = 1500;

/** Pages by their letters. */
export const PAGES: readonly { letter: string; text: string; path: string }[] = [
  { letter: "p", text: TEXT.projects, path: paths.projects },
  { letter: "d", text: TEXT.dashboard.title, path: paths.dashboard({ days: 7 }) },
  { letter: "q", text: TEXT.queue, path: paths.queue },
  { letter: "i", text: TEXT.images.title, path: paths.images() },
  { letter: "c", text: TEXT.caches.title, path: paths.caches },
  { letter: "s", text: TEXT.secrets.title, path: paths.secrets },
  { letter: "w", text: TEXT.webhooks.title, path: paths.webhooks() },
  { letter: "r", text: TEXT.repositories.title, path: paths.repositories() },
  { letter: "k", text: TEXT.credentials.title, path: paths.credentials },
  { letter: "a", text: TEXT.access.title, path: paths.access("users") },
  { letter: "l", text: TEXT.audit.title, path: paths.audit({}) },
];

function isWritten(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

/** The first field in the page that finds something. */
function finder(): HTMLElement | null {
  return document.querySelector<HTMLElement>('main input[type="search"], main input[type="text"]');
}

export interface Shortcuts {
  isOn: boolean;
  setOn: (on: boolean) => void;
  isShown: boolean;
  setShown: (shown: boolean) => void;
}

/** Listens for them. */
export function useShortcuts(): Shortcuts {
  const [isOn, setOn] = useState(() => localStorage.getItem(NAME) !== "off");
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    if (!isOn) return;
    let went = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isWritten(event.target)) return;
      // What is asked in a dialog comes first.
      if (document.querySelector('[role="dialog"]')) return;
      const isSecond = event.timeStamp - went < PATIENCE && went > 0;
      went = 0;
      if (isSecond) {
        const page = PAGES.find(({ letter }) => letter === event.key);
        if (page) {
          event.preventDefault();
          navigate(page.path);
        }
      } else if (event.key === "g") {
        went = event.timeStamp;
      } else if (event.key === "/") {
        const field = finder();
        if (field) {
          event.preventDefault();
          field.focus();
        }
      } else if (event.key === "?") {
        setShown(true);
      }
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [isOn]);
  const set = (on: boolean) => {
    if (on) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, "off");
    setOn(on);
  };
  return { isOn, setOn: set, isShown, setShown };
}
