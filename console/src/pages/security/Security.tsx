/** How one signs in: the second step, passkeys, and the browsers where one is signed in. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { secondStep } from "../../api/secondStep";
import { Failure, Lines } from "../../parts/Feedback";
import { Page } from "../../parts/Page";
import { Passkeys } from "./Passkeys";
import { RecoveryCodes } from "./RecoveryCodes";
import { Sessions } from "./Sessions";
import { TwoSteps } from "./TwoSteps";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(secondStep);
  const [codes, setCodes] = useState<string[]>();
  const show = (made: string[]) => {
    if (made.length > 0) setCodes(made);
  };
  return (
    <Page title={t("security.title")} intro={t("security.intro")} narrow>
      {codes && <RecoveryCodes codes={codes} done={() => setCodes(undefined)} />}
      {query.data ? (
        <>
          <TwoSteps step={query.data} show={show} />
          <Passkeys step={query.data} show={show} />
        </>
      ) : query.error ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : (
        <Lines n={8} />
      )}
      <Sessions />
    </Page>
  );
}
