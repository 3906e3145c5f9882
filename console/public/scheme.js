// Sets the colour scheme before the first paint; a file of its own because the server forbids inline scripts.
(() => {
  let wanted = null;
  try {
    wanted = localStorage.getItem("posthouse-scheme");
  } catch {
    // Storage may be forbidden; then the system's scheme is used.
  }
  const dark =
    wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
