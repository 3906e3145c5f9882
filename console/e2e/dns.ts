/** A name server on loopback that knows what it was told: TXT and CNAME records, over UDP. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

const TYPES = { CNAME: 5, TXT: 16 } as const;

export interface DnsRecord {
  type: string;
  name: string;
  value: string;
}

export interface Dns {
  /** `127.0.0.1:PORT` */
  address: string;
  publish: (record: DnsRecord) => void;
  stop: () => void;
}

export async function startDns(): Promise<Dns> {
  const known: DnsRecord[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (asked, from) => socket.send(answer(asked, known), from.port, from.address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${(socket as Socket).address().port}`,
    publish: (record) => known.push(record),
    stop: () => socket.close(),
  };
}

/** RFC 1035 section 4.1: the question as it came, and behind it what is known of its name. */
function answer(asked: Buffer, known: DnsRecord[]): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = asked.readUInt8(at); length > 0; length = asked.readUInt8(at)) {
    labels.push(asked.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const type = asked.readUInt16BE(at + 1);
  const question = asked.subarray(12, at + 5);
  const found = known.filter(
    (record) =>
      record.name.toLowerCase() === labels.join(".") && TYPES[record.type as keyof typeof TYPES] === type,
  );
  const header = Buffer.from([0, 0, 0x85, 0x80, 0, 1, 0, found.length, 0, 0, 0, 0]);
  asked.copy(header, 0, 0, 2);
  return Buffer.concat([header, question, ...found.map((record) => resource(record, type))]);
}

function resource(record: DnsRecord, type: number): Buffer {
  const data = type === TYPES.CNAME ? encodedName(record.value) : strings(record.value);
  // The name is that of the question; class IN, kept by nobody.
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodedName(name: string): Buffer {
  const labels = name
    .split(".")
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function strings(text: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += 255) {
    const part = Buffer.from(text.slice(at, at + 255), "latin1");
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat(parts);
}
