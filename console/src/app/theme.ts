/** The identity in Mantine's terms: one teal accent, warm greys, system fonts, 14 px, borders instead of shadows. */
import {
  Button,
  createTheme,
  defaultVariantColorsResolver,
  type MantineColorsTuple,
  Menu,
  Modal,
  Paper,
  PasswordInput,
  Popover,
  Select,
  Textarea,
  TextInput,
  Tooltip,
} from "@mantine/core";

const teal: MantineColorsTuple = [
  "#f0fdfa",
  "#ccfbf1",
  "#99f6e4",
  "#5eead4",
  "#2dd4bf",
  "#14b8a6",
  "#0d9488",
  "#0f766e",
  "#115e59",
  "#134e4a",
];

const gray: MantineColorsTuple = [
  "#faf9f8",
  "#f4f3f1",
  "#e8e6e3",
  "#dad7d3",
  "#b9b4ae",
  "#928c86",
  "#6a645f",
  "#55504b",
  "#3f3b38",
  "#282523",
];

/** Mantine takes 0 for text, 2 for dimmed text, 4 for borders, 6 for fields and 7 for the page. */
const dark: MantineColorsTuple = [
  "#e9e6e3",
  "#cfcbc7",
  "#aaa49e",
  "#817a74",
  "#433f3b",
  "#37332f",
  "#282523",
  "#1b1917",
  "#151312",
  "#0d0c0b",
];

const red: MantineColorsTuple = [
  "#fef2f2",
  "#fee2e2",
  "#fecaca",
  "#fca5a5",
  "#f87171",
  "#ef4444",
  "#dc2626",
  "#b91c1c",
  "#991b1b",
  "#7f1d1d",
];

export const theme = createTheme({
  primaryColor: "teal",
  primaryShade: { light: 7, dark: 4 },
  // The accent is dark on light and light on dark, so what stands on it is the other way round.
  variantColorResolver: (input) => {
    const colors = defaultVariantColorsResolver(input);
    return input.variant === "filled" ? { ...colors, color: "var(--on-accent)" } : colors;
  },
  colors: { teal, gray, dark, red },
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: "12px", sm: "14px", md: "14px", lg: "16px", xl: "18px" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.5", lg: "1.5", xl: "1.4" },
  spacing: { xs: "8px", sm: "12px", md: "16px", lg: "24px", xl: "32px" },
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "6px", xl: "6px" },
  defaultRadius: "md",
  headings: {
    fontWeight: "600",
    sizes: {
      h1: { fontSize: "20px", lineHeight: "1.3" },
      h2: { fontSize: "16px", lineHeight: "1.4" },
      h3: { fontSize: "14px", lineHeight: "1.4" },
    },
  },
  shadows: { xs: "none", sm: "none", md: "none", lg: "none", xl: "none" },
  focusRing: "auto",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Button: Button.extend({ defaultProps: { size: "sm" } }),
    TextInput: TextInput.extend({ defaultProps: { size: "sm" } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: "sm" } }),
    Select: Select.extend({ defaultProps: { size: "sm", checkIconPosition: "right" } }),
    Textarea: Textarea.extend({ defaultProps: { size: "sm" } }),
    Paper: Paper.extend({ defaultProps: { withBorder: true, shadow: "none" } }),
    Tooltip: Tooltip.extend({
      defaultProps: { openDelay: 300, events: { hover: true, focus: true, touch: true } },
    }),
    Menu: Menu.extend({ defaultProps: { withinPortal: true, position: "bottom-end" } }),
    Popover: Popover.extend({ defaultProps: { withinPortal: true } }),
    // The head of a dialog is no landmark: there may be two, one above the other.
    Modal: Modal.extend({
      defaultProps: { centered: true, attributes: { header: { role: "presentation" } } },
    }),
  },
});
