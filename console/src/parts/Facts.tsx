/** Names and values, one pair a line. */
import { Fragment, type ReactNode } from "react";
import classes from "./Facts.module.css";

export type Fact = [name: string, value: ReactNode] | null | false | "" | undefined;

export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className={classes.facts}>
      {facts.map((fact) =>
        fact ? (
          <Fragment key={fact[0]}>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </Fragment>
        ) : null,
      )}
    </dl>
  );
}
