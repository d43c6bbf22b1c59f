"""Which words are names of medicines? International and US adopted names and common brands, of our own gathering."""

from __future__ import annotations

_GENERIC = """
abacavir abatacept acamprosate acarbose acetaminophen acetazolamide aciclovir acyclovir adalimumab adefovir
albendazole albuterol alendronate alfuzosin alirocumab allopurinol almotriptan alogliptin alosetron alprazolam
amantadine ambrisentan amiloride amiodarone amitriptyline amlodipine amoxapine amoxicillin amphetamine ampicillin
anakinra anastrozole apixaban apremilast aripiprazole armodafinil asenapine aspirin atazanavir atenolol atomoxetine
atorvastatin atovaquone avanafil azathioprine azelastine azilsartan azithromycin baclofen baricitinib beclomethasone
belimumab benazepril benralizumab benzonatate benztropine betamethasone bethanechol bevacizumab bicalutamide
bictegravir bimatoprost bisacodyl bisoprolol bosentan brexpiprazole brimonidine brivaracetam bromocriptine budesonide
bumetanide buprenorphine bupropion buspirone butalbital cabergoline cabotegravir calcitonin calcitriol canagliflozin
candesartan capecitabine captopril carbamazepine carbidopa carboplatin cariprazine carisoprodol carvedilol cefaclor
cefadroxil cefalexin cefdinir cefepime cefixime cefpodoxime cefprozil ceftriaxone cefuroxime celecoxib cephalexin
cetirizine chlordiazepoxide chlorhexidine chloroquine chlorothiazide chlorpromazine chlorpropamide chlorthalidone
cholestyramine ciclopirox cilostazol cimetidine cinacalcet ciprofloxacin cisplatin citalopram clarithromycin
clindamycin clobazam clobetasol clomiphene clomipramine clonazepam clonidine clopidogrel clorazepate clotrimazole
clozapine codeine colchicine colesevelam cyclobenzaprine cyclophosphamide cyclosporine cyproheptadine dabigatran
dalfampridine dapagliflozin dapsone daptomycin darbepoetin darifenacin darunavir dasatinib deferasirox degarelix
denosumab desipramine desloratadine desmopressin desogestrel desvenlafaxine dexamethasone dexlansoprazole
dexmethylphenidate dextroamphetamine diazepam diclofenac dicyclomine didanosine digoxin diltiazem diphenhydramine
diphenoxylate dipyridamole disulfiram divalproex docetaxel docusate dofetilide dolutegravir donepezil dorzolamide
doxazosin doxepin doxorubicin doxycycline dronedarone drospirenone dulaglutide duloxetine dupilumab dutasteride
edoxaban efavirenz eletriptan empagliflozin emtricitabine enalapril enoxaparin entacapone entecavir epinephrine
eplerenone epoetin eprosartan erenumab ergocalciferol erlotinib ertapenem ertugliflozin erythromycin escitalopram
eslicarbazepine esomeprazole estradiol eszopiclone etanercept ethambutol ethinyl ethosuximide etodolac etonogestrel
etoposide etravirine everolimus evolocumab exemestane exenatide ezetimibe famciclovir famotidine febuxostat felodipine
fenofibrate fentanyl fesoterodine fexofenadine filgrastim finasteride fingolimod flecainide fluconazole
fludrocortisone flunisolide fluocinonide fluorouracil fluoxetine fluphenazine flurazepam flurbiprofen fluticasone
fluvastatin fluvoxamine fondaparinux formoterol fosinopril frovatriptan fulvestrant furosemide gabapentin galantamine
galcanezumab ganciclovir gefitinib gemcitabine gemfibrozil gentamicin glatiramer glimepiride glipizide glyburide
glycopyrrolate golimumab griseofulvin guaifenesin guanfacine guselkumab haloperidol heparin hydralazine
hydrochlorothiazide hydrocodone hydrocortisone hydromorphone hydroxychloroquine hydroxyurea hydroxyzine hyoscyamine
ibandronate ibrutinib ibuprofen iloperidone imatinib imipramine imiquimod indapamide indomethacin infliximab insulin
interferon ipratropium irbesartan isoniazid isosorbide isotretinoin isradipine itraconazole ivabradine ivermectin
ixekizumab ketamine ketoconazole ketoprofen ketorolac labetalol lacosamide lactulose lamivudine lamotrigine
lansoprazole latanoprost ledipasvir leflunomide lenalidomide letrozole leucovorin leuprolide levalbuterol
levetiracetam levocetirizine levodopa levofloxacin levonorgestrel levothyroxine lidocaine linaclotide linagliptin
linezolid liothyronine liraglutide lisdexamfetamine lisinopril lithium lixisenatide loperamide lopinavir loratadine
lorazepam losartan lovastatin loxapine lubiprostone lurasidone macitentan maraviroc mebendazole meclizine
medroxyprogesterone mefloquine megestrol meloxicam memantine meperidine mepolizumab mercaptopurine meropenem
mesalamine metaxalone metformin methadone methazolamide methenamine methimazole methocarbamol methotrexate methyldopa
methylphenidate methylprednisolone metoclopramide metolazone metoprolol metronidazole mexiletine midodrine
mifepristone miglitol minocycline minoxidil mirabegron mirtazapine misoprostol modafinil moexipril mometasone
montelukast morphine moxifloxacin mupirocin mycophenolate nabumetone nadolol naloxone naltrexone naproxen naratriptan
natalizumab nateglinide nebivolol nefazodone neomycin nevirapine niacin nicardipine nifedipine nilotinib nimodipine
nitazoxanide nitrofurantoin nitroglycerin nivolumab nizatidine norethindrone norgestimate nortriptyline nystatin
ocrelizumab octreotide ofloxacin olanzapine olaparib olmesartan olopatadine omalizumab omeprazole ondansetron orlistat
orphenadrine oseltamivir oxaliplatin oxandrolone oxaprozin oxazepam oxcarbazepine oxybutynin oxycodone oxymorphone
paclitaxel palbociclib paliperidone pantoprazole paracetamol paroxetine pegfilgrastim pembrolizumab penicillin
pentoxifylline perampanel perindopril permethrin perphenazine phenazopyridine phenelzine phenobarbital phentermine
phenytoin pilocarpine pimozide pindolol pioglitazone pirfenidone pitavastatin posaconazole potassium pramipexole
prasugrel pravastatin praziquantel prazosin prednisolone prednisone pregabalin primaquine primidone probenecid
prochlorperazine progesterone promethazine propafenone propranolol propylthiouracil protriptyline pseudoephedrine
pyrazinamide pyridostigmine quetiapine quinapril quinidine rabeprazole raloxifene raltegravir ramelteon ramipril
ranitidine ranolazine rasagiline remdesivir repaglinide ribavirin rifabutin rifampin rifaximin rilpivirine riluzole
riociguat risankizumab risedronate risperidone ritonavir rituximab rivaroxaban rivastigmine rizatriptan roflumilast
ropinirole rosuvastatin rufinamide sacubitril salmeterol sarilumab saxagliptin secukinumab selegiline selexipag
semaglutide sertraline sevelamer sildenafil silodosin simvastatin sirolimus sitagliptin sofosbuvir solifenacin
sorafenib sotalol spironolactone sucralfate sulfamethoxazole sulfasalazine sulindac sumatriptan sunitinib suvorexant
tacrolimus tadalafil tamoxifen tamsulosin tapentadol telmisartan temazepam tenofovir terazosin terbinafine terbutaline
teriflunomide teriparatide testosterone tetrabenazine tetracycline theophylline thioridazine thiothixene tiagabine
ticagrelor ticlopidine timolol tinidazole tiotropium tirzepatide tizanidine tobramycin tofacitinib tolcapone
tolterodine tolvaptan topiramate torsemide tramadol trandolapril tranexamic tranylcypromine trastuzumab travoprost
trazodone treprostinil tretinoin triamcinolone triamterene triazolam trifluoperazine trihexyphenidyl trimethoprim
trimipramine trospium ulipristal umeclidinium upadacitinib ursodiol ustekinumab valacyclovir valbenazine
valganciclovir valproate valproic valsartan vancomycin vardenafil varenicline vedolizumab venlafaxine verapamil
vigabatrin vilanterol vilazodone voriconazole vortioxetine warfarin zafirlukast zaleplon zidovudine zileuton
ziprasidone zoledronic zolmitriptan zolpidem zonisamide
"""
_BRANDS = """
abilify accutane actos adderall advair advil aleve allegra ambien amoxil antabuse aricept arimidex ativan atripla
augmentin avapro avodart bactrim benadryl benicar biktarvy botox brilinta buspar bydureon byetta bystolic cardizem
celebrex celexa chantix cialis cipro claritin clozaril combivent concerta copaxone coreg cosentyx coumadin cozaar
crestor cymbalta depakote depo-provera descovy detrol diflucan dilantin dilaudid diovan dupixent effexor eliquis
enbrel entresto entyvio epclusa epipen eylea farxiga flexeril flomax flonase fosamax genvoya geodon gilenya gleevec
glucophage glucotrol harvoni herceptin humalog humira humulin hyzaar imitrex inderal invega invokana janumet januvia
jardiance keppra keytruda klonopin lamictal lantus lasix latuda levaquin levemir levitra lexapro librium lipitor
lopressor lovenox lucentis lunesta lupron lyrica macrobid mavyret metoprolol mirapex mobic motrin mounjaro namenda
narcan nasonex neurontin nexium norco novolog nucala nuvaring opdivo otezla oxycontin ozempic paxil paxlovid pepcid
percocet plaquenil plavix pradaxa prevacid prilosec prinivil pristiq proair prolia protonix provigil prozac pulmicort
remeron remicade requip restasis restoril revlimid rexulti risperdal ritalin rituxan robaxin rybelsus seroquel simponi
singulair skelaxin skyrizi soliris soma spiriva stelara strattera suboxone subutex symbicort synthroid tamiflu
tegretol tenormin toprol tradjenta trelegy tremfya tresiba triumeq trulicity truvada tylenol ultram valium valtrex
viagra vicodin victoza viibryd vivitrol voltaren vraylar vyvanse wegovy wellbutrin xanax xarelto xeljanz xolair zantac
zepbound zestril zetia zithromax zocor zofran zoloft zyprexa zyrtec
"""
# In other trades these are foods, metals and salts; they count only under names that are nothing else.
_COMMON = frozenset({"ethinyl", "potassium", "lithium", "niacin"})

MEDICINES = (frozenset(_GENERIC.split()) | frozenset(_BRANDS.split())) - _COMMON | {"lithobid", "niaspan"}
