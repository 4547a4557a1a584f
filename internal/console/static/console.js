// The console of one gateway: it reads GET /fleet with the user's token and shows the answer in a table. The
// token stays in sessionStorage, which the browser forgets with the tab.
"use strict";

const storageKey = "wsfleet-token";
const intervalMilliseconds = 5000;
const element = (id) => document.getElementById(id);

let timer = 0;

// rowsOf returns the rows of the table for a report: label, text, and the class of the text.
function rowsOf(report) {
  const broker = report.broker;
  const rows = [
    ["Version", report.version],
    ["State", report.state, report.state === "serving" ? "good" : "bad"],
    ["Connections", `${report.connections} of ${report.maxConnections}`],
    ["Broker", `${broker.kind}: ${broker.state}`, broker.state === "ready" ? "good" : "bad"],
  ];
  if (broker.error) {
    rows.push(["Broker error", broker.error, "bad"]);
  }
  if (report.drain) {
    const drain = report.drain;
    rows.push(
      ["Drain reason", drain.reason],
      ["Drain started", new Date(drain.startedAt).toLocaleString()],
      ["Drain deadline", new Date(drain.deadline).toLocaleString()],
      ["Drained", `${drain.closed} closed in time, ${drain.forced} at the deadline`],
    );
  }
  return rows;
}

// show fills the table. All texts go through textContent, so a report cannot add markup to the page.
function show(report) {
  element("node").textContent = report.node;
  element("report").tBodies[0].replaceChildren(...rowsOf(report).map(([label, text, className]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = label;
    const cell = document.createElement("td");
    cell.textContent = text;
    cell.className = className || "";
    row.append(head, cell);
    return row;
  }));
  element("report").hidden = false;
}

function say(text, isError) {
  element("message").textContent = text;
  element("message").className = isError ? "error" : "";
}

// load reads the report once, and again after the interval unless the gateway refused the token.
async function load() {
  clearTimeout(timer);
  const token = sessionStorage.getItem(storageKey);
  try {
    const response = await fetch("../fleet", {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    const body = await response.json();
    if (!response.ok) {
      element("report").hidden = true;
      say(`${response.status}: ${body.error}`, true);
      return;
    }
    show(body);
    say("", false);
  } catch (error) {
    say(`The gateway does not answer: ${error.message}`, true);
  }
  timer = setTimeout(load, intervalMilliseconds);
}

element("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(storageKey, element("token").value.trim());
  element("token").value = "";
  load();
});

element("forget").addEventListener("click", () => {
  sessionStorage.removeItem(storageKey);
  element("node").textContent = "";
  element("report").hidden = true;
  load();
});

load();
