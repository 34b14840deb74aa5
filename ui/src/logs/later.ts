// Parts of the Logs page that come after the first lines, in one file of their own.
export { Details } from './details.tsx';
export { Download } from './download.tsx';
export { Empty } from './empty.tsx';
export { ErrorBox } from '../controls/error_box.tsx';
export { Facets } from './facets.tsx';
export { FirstVisit } from './first_visit.tsx';
export { KeySheet } from '../controls/key_sheet.tsx';
export { Linked } from './linked.tsx';
export { Histogram } from './histogram.tsx';
export { RangeBox } from '../controls/range_box.tsx';
export { TableHead } from './table_head.tsx';
export { SignIn } from '../controls/sign_in.tsx';
