// Sentences for what only people do: fetched with the first room, and added to those that every stage has.

import { CHANGES, words } from "mailroom/lazy/sayings.js";

Object.assign(CHANGES, {
  SetPrefetch: (n, about) => [2, words`${n} subscribes anew, with ${about}.`],
  SetWork: (n, about) => [2, words`${n} works ${about} on each from the next one on.`],
  SetAcknowledge: (n, about) => [2, words`${n} ${about} from now on.`],
  SetRetry: (n, about) => [
    2,
    words`When ${n} fails from now on: ${about}.`,
    words`${n} retries differently from now on.`,
  ],
  SetIdempotency: (n, about) => [
    2,
    about === "none"
      ? words`${n} asks no store any more.`
      : words`${n} keeps a store of what it has done: ${about}.`,
  ],
  AddConsumer: (n, about) => [2, words`A new worker, ${about}, reads ${n}.`, words`${n} has a new worker.`],
  RemoveConsumer: (n) => [
    2,
    words`${n} is taken away: it finishes what it works on first.`,
    words`${n} is taken away.`,
  ],
  AddProducer: (n, about) => [
    2,
    words`A new producer, ${about}, does as ${n} does.`,
    words`A new producer does as ${n} does.`,
  ],
  RemoveProducer: (n) => [
    2,
    words`${n} is taken away: it makes no more messages.`,
    words`${n} is taken away.`,
  ],
  DeclareQueue: (n, about) => [
    2,
    words`A new queue, ${about}: nothing leads to it yet.`,
    words`There is a new queue.`,
  ],
  BindQueue: (n, about) => [
    2,
    words`${n} is bound ${about}: it gets a copy of what fits.`,
    words`${n} is bound to an exchange.`,
  ],
  UnbindQueue: (n, about) => [2, words`${n} is unbound ${about}.`, words`${n} is unbound from an exchange.`],
  DeleteQueue: (n) => [
    3,
    words`${n} is deleted: what is in it is dropped, its workers are cancelled.`,
    words`${n} is deleted with all that is in it.`,
  ],
  Redrive: (n, about) => [2, words`What is ready in ${n} is moved ${about}.`],
});
