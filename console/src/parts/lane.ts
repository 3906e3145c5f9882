/** A lane's name for people; the server's own name says how mail is routed. */
import { i18next } from "../words";

export function laneName(lane: string): string {
  if (lane === "capture") return i18next.t("queue.captureLane");
  return lane.replace(/^mx:/, "").replaceAll(",", ", ");
}
