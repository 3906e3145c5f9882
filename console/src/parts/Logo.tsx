/** The post horn, drawn as one line; it takes the colour of the text around it. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.9"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d="M2.5 8.5v3m0-1.5h6.2a4.6 4.6 0 1 0 4.6 4.6a4.6 4.6 0 0 0-4.6-4.6h6.8c2.6 0 4.3-1.6 5.8-4v8c-1.5-2.4-3.2-4-5.8-4" />
    </svg>
  );
}
