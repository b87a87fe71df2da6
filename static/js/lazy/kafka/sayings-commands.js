// Sentences for what people, and scenarios, do to a cluster and its clients: added to those that every stage
// has.

import { CHANGES, words } from "mailroom/lazy/sayings.js";

Object.assign(CHANGES, {
  PauseConsumer: (n) => [3, words`${n} stands still, heartbeats too: as in a long garbage collection.`],
  ResumeConsumer: (n) => [
    2,
    words`${n} goes on where it was, whatever its group thinks of it by now.`,
    words`${n} goes on where it was.`,
  ],
  KillBroker: (n) => [
    3,
    words`${n} is killed: where it led, the next replica in sync leads.`,
    words`${n} is killed.`,
  ],
  StopBroker: (n) => [2, words`${n} shuts down in order, and hands leadership over.`],
  StartBroker: (n) => [2, words`${n} starts again and catches up with its leaders.`],
  HangBroker: (n) => [3, words`${n} hangs: its followers fetch nothing, and will fall out of sync.`],
  ResumeBroker: (n) => [2, words`${n} goes on: its followers fetch what they have missed.`],
  AddPartitions: (n, about) => [
    2,
    words`${n} has ${about} now: new records of a key may go to another one than old ones.`,
    words`${n} has ${about} now: keys may move.`,
  ],
  SeekGroup: (n, about) => [2, words`An administrator resets the offsets of ${n} ${about}.`],
  Seek: (n, about) => [2, words`${n} seeks ${about} after its poll; nothing is committed by that.`],
  SetAssignors: (n, about) => [
    2,
    words`${n}: its members are restarted one after the other, to assign by ${about}.`,
    words`${n} gets other assignors.`,
  ],
  SetShareMember: (n, about) => [2, words`${n} takes and acknowledges records otherwise: ${about}.`],
  RejectNext: (n) => [
    2,
    words`${n} will reject the record that it finishes next: nobody gets it again.`,
    words`${n} will reject its next record.`,
  ],
  ReleaseNext: (n) => [
    2,
    words`${n} will release the record that it finishes next: any member may get it.`,
    words`${n} will release its next record.`,
  ],
  SetIdempotence: (n, about) => [
    2,
    about === "on"
      ? words`${n} numbers its batches from now on: a broker knows one that comes twice.`
      : words`${n} numbers its batches no more: one that comes twice is written twice.`,
  ],
  BeginTransaction: (n) => [
    2,
    words`${n} begins a transaction: who reads committed records sees it when it ends.`,
  ],
  CommitTransaction: (n) => [2, words`${n} commits its transaction once all that it wrote has its answer.`],
  AbortTransaction: (n) => [
    2,
    words`${n} aborts its transaction: who reads committed records never sees it.`,
  ],
  AddConsumer: (n, about) => [2, words`A new member, ${about}, joins ${n}.`, words`${n} gets a new member.`],
});
