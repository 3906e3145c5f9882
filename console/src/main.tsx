/** Starts the console: words, colours, cache, routes. */
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "@mantine/spotlight/styles.css";
import "./app/ConfirmPassword";
import "./app/global.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { ModalsProvider } from "@mantine/modals";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { cache } from "./app/cache";
import { router } from "./app/router";
import { theme } from "./app/theme";
import { ready } from "./words";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");

// The same key as in public/scheme.js, which paints before this runs.
const scheme = localStorageColorSchemeManager({ key: "posthouse-scheme" });

await ready;
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={scheme}>
      <QueryClientProvider client={cache}>
        <ModalsProvider>
          <Notifications position="bottom-right" autoClose={5_000} />
          <RouterProvider router={router} />
        </ModalsProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
