/** The editor of a script: Luau with colours, completion, and the line that is at fault. A chunk of its own. */
import {
  autocompletion,
  type CompletionContext,
  closeBrackets,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  HighlightStyle,
  indentUnit,
  StreamLanguage,
  syntaxHighlighting,
} from "@codemirror/language";
import { lua } from "@codemirror/legacy-modes/mode/lua";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import classes from "./Code.module.css";
import { FIELDS, FUNCTIONS, METHODS, PART } from "./words";

interface Props {
  value: string;
  change: (value: string) => void;
  label: string;
  fault?: { line: number; message: string } | undefined;
  readOnly?: boolean;
}

const colours = HighlightStyle.define([
  { tag: tags.keyword, class: classes.keyword },
  { tag: [tags.string, tags.special(tags.string)], class: classes.string },
  { tag: tags.number, class: classes.number },
  { tag: tags.comment, class: classes.comment },
  { tag: [tags.standard(tags.variableName), tags.function(tags.variableName)], class: classes.standard },
]);

const LIBRARY = [
  "string.find",
  "string.match",
  "string.gsub",
  "string.lower",
  "string.split",
  "table.concat",
  "ipairs",
];

function complete(context: CompletionContext) {
  const behind = (names: string[], type: string, from: number) => ({
    from,
    options: names.map((label) => ({ label, type })),
    validFor: /^\w*$/,
  });
  const part = context.matchBefore(/\bpart\.\w*/);
  if (part) return behind(PART, "property", part.from + "part.".length);
  const field = context.matchBefore(/m[.:]\w*/);
  if (field) {
    const methods = field.text[1] === ":";
    return behind(methods ? METHODS : FIELDS, methods ? "method" : "property", field.from + 2);
  }
  const word = context.matchBefore(/[\w.]+/);
  if (!word && !context.explicit) return null;
  return {
    from: word?.from ?? context.pos,
    options: [
      ...FUNCTIONS.map(([label, detail]) => ({ label, detail, type: "function" })),
      ...LIBRARY.map((label) => ({ label, type: "function" })),
      ...["function", "local", "if", "then", "else", "elseif", "end", "for", "while", "return"].map(
        (label) => ({
          label,
          type: "keyword",
        }),
      ),
    ],
    validFor: /^[\w.]*$/,
  };
}

export default function Code({ value, change, label, fault, readOnly }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const told = useRef(change);
  told.current = change;
  const first = useRef({ value, label });

  useEffect(() => {
    if (!place.current) return;
    const locked = new Compartment();
    const editor = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: first.current.value,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          indentUnit.of("  "),
          StreamLanguage.define(lua),
          syntaxHighlighting(colours),
          autocompletion({ override: [complete], icons: false }),
          lintGutter(),
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.contentAttributes.of({
            "aria-label": first.current.label,
            spellcheck: "false",
            tabindex: "0",
          }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) told.current(update.state.doc.toString());
          }),
          locked.of(EditorState.readOnly.of(readOnly === true)),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [readOnly]);

  // What comes from elsewhere, such as an older version, takes the place of what stands there.
  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const line =
      fault && fault.line <= editor.state.doc.lines ? editor.state.doc.line(fault.line) : undefined;
    const marks =
      line && fault
        ? [{ from: line.from, to: line.to, severity: "error" as const, message: fault.message }]
        : [];
    editor.dispatch(setDiagnostics(editor.state, marks));
  }, [fault]);

  return <div ref={place} className={classes.code} />;
}
