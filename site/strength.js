// Says while a new password is typed how good it is. The words come from the server; without this script they come with
// the answer to the form.
"use strict";
const field = document.getElementById("password");
const says = document.getElementById("strength");
const email = document.getElementById("email");
let waiting;
let asking;

async function judge() {
  asking?.abort();
  asking = new AbortController();
  const body = new URLSearchParams({ password: field.value, email: email?.value ?? "" });
  try {
    const answer = await fetch(says.dataset.ask, { method: "POST", body, signal: asking.signal });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    says.textContent = page.body.textContent.trim();
    says.dataset.good = page.body.firstElementChild?.dataset.good ?? "no";
  } catch {
    // The form says it when it is sent.
  }
}

field.addEventListener("input", () => {
  clearTimeout(waiting);
  if (field.value === "") {
    asking?.abort();
    says.textContent = "";
    return;
  }
  waiting = setTimeout(judge, 250);
});
