/**
 * The parity table: what users of the system that POP is modelled on can do, by the row numbers of the project's
 * acceptance list, and beyond them (X) what those users miss there. A row is whole when a test of this folder, named
 * `row <number>: …`, shows all of it through the public API; the others are listed as `later`.
 */

/** One row of the parity table. */
export interface Row {
  /** `1` to `120`, `X1` to `X14`. */
  readonly number: string;
  readonly group: string;
  readonly feature: string;
  readonly whole: boolean;
}

const features: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Objects: {
    1: 'Customers, ResourcePools, Insights',
    2: 'AgendaTemplates and Agendas',
    3: 'AgendaProgress, OperationProgress',
    4: 'Ids by the server',
    5: 'Times by the server',
    6: 'Correlation id',
    7: 'Sparse PUT',
    8: 'PUT of a wrong or unknown id',
    9: 'Required fields',
    10: 'Insights of a pool',
    11: 'Deleting progress with its parts',
    12: 'Deleting a waiting Agenda',
    13: 'Progress written from outside',
    14: 'Free params keep their types',
  },
  Queries: {
    15: 'Every query key',
    16: 'Keys combined',
    17: 'Limit',
    18: 'Chosen fields',
    19: 'Counting',
    20: 'Progress joined with Operations',
  },
  Submission: {
    21: 'Submit',
    22: 'No Operations',
    23: 'Names: present, unique',
    24: 'References to unknown Operations',
    25: 'Circular references',
    26: 'Many faults',
    27: 'Unknown customer, no Insight',
    28: 'All or nothing',
    29: 'doNotRun',
    30: 'externalId, maximumAttempts',
    31: 'Own progressId again',
    32: 'Batch by the pool owner',
  },
  Templates: {
    33: 'Run with a payload',
    34: 'Static parameters',
    35: 'Values keep their types',
    36: 'Title and cid handed on',
    37: 'Shared templates',
    38: 'Payload that is not JSON',
    39: 'Required parameters',
    40: 'Evaluate only',
    41: 'Own customers only',
  },
  Mapping: {
    42: 'By Operation type and name',
    43: 'By params',
    44: 'Any match suffices',
    45: 'defaultInsight',
    46: 'Allowed customers',
    47: 'Global, and of the own pool',
  },
  Scheduling: {
    48: 'Queue kept at queueSize',
    49: 'First in, first out',
    50: 'Round robin',
    51: 'Turns outlive restarts',
    52: 'A flood by one customer',
    53: 'Insights are independent',
    54: 'Waiting depth as a metric',
    55: 'A picked Agenda keeps its place',
  },
  Pulling: {
    56: 'One Insight at a time',
    57: 'Busy and idle polling',
    58: 'Running limit of an Insight',
    59: 'Agenda from a local file',
    60: 'Puller liveness, without its alert',
  },
  Execution: {
    61: 'Parallel Operations',
    62: 'Order by reference',
    63: 'Order by dependsOn',
    64: 'Reference values',
    65: 'References within text',
    66: 'Operations at once',
    67: 'First failure stops new ones, which are skipped at the end',
    68: 'Diagnostics with last lines',
    69: 'No progress reported',
    70: 'Quiet, not started in time',
    71: 'Operations made by Operations',
    72: 'Parents of made Operations',
    73: 'Resident logMessages',
    74: 'Registry layers',
    75: 'Pod settings',
    76: 'Unknown Operation type',
  },
  Handlers: {
    77: 'Environment',
    78: 'Compressed payload',
    79: 'Progress while running',
    80: 'Result',
    81: 'Failure with own diagnostics',
    82: 'Data for going on',
    83: 'External tool container',
    84: 'Sample handler actions',
    85: 'Without a cluster',
  },
  Progress: {
    86: 'Consistent at the end',
    87: 'Heartbeat',
    88: 'Summary over a linkId',
    89: 'attemptsCompleted',
  },
  Recovery: {
    90: 'Rerun all',
    91: 'Rerun from the failure',
    92: 'Rerun chosen Operations',
    93: 'Reset only',
    94: 'Wrong rerun parameters',
    95: 'Automatic retry',
    96: 'Twenty attempts at most',
    97: 'Silent executors',
    98: 'Reclaim as a dry run',
  },
  Housekeeping: {
    99: 'Old objects',
    100: 'Reaper limits, dry run',
    101: 'Old Pods',
    102: 'Pods that remove themselves',
  },
  Access: {
    103: 'No credential',
    104: 'Own objects only',
    105: 'Several accounts, super user',
    106: 'Shared: read, not write',
    107: 'Refused writes change nothing',
    108: 'Pulling is the owner’s',
  },
  Errors: { 109: 'One form of error' },
  Monitoring: {
    110: 'Metrics',
    111: 'Export of metrics',
    112: 'Alert and clearing',
    113: 'A line per end',
  },
  Dashboard: {
    114: 'Log in',
    115: 'Search',
    116: 'Agenda page',
    117: 'Live graph',
    118: 'Run a template',
    119: 'Rerun',
    120: 'Every object by hand',
  },
  Beyond: {
    X1: 'Clearing a field',
    X2: 'Paging reaches all',
    X3: 'Unknown query parameter',
    X4: 'dependsOn: unknown, circular',
    X5: 'Template tokens left over',
    X6: 'Malformed mapper',
    X7: 'Over 100 customers',
    X8: 'Misconfigured Insight shows',
    X9: 'Failed start loses nothing',
    X10: 'Safe resume of expansion',
    X11: 'No two reruns at once',
    X12: 'Statuses by class',
    X13: 'Malformed JSON',
    X14: 'Results shown as text',
  },
};

const whole: ReadonlySet<string> = new Set(
  `1 4 5 6 7 8 9 10
   15 16 17 18 19 20
   21 22 23 24 25 26 27 28 29 30
   42 43 44 45 46 47
   48 49 53 54 55
   56 57 58 59 60
   61 62 63 64 65 66 67 68 69 70 73 74 75 76
   77 78 79 80 81 83 84 85
   86 87
   101 102
   103 104 106 109
   X1 X2 X3 X4 X5 X6 X8 X9 X12 X13`.split(/\s+/),
);

/** All rows of the parity table, in order. */
export const rows: readonly Row[] = Object.entries(features).flatMap(([group, ofGroup]) =>
  Object.entries(ofGroup).map(([number, feature]) => ({ number, group, feature, whole: whole.has(number) })),
);
